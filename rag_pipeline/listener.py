"""Opening a listening socket, with errors a person can act on, and leaving it to the parent in a forked child."""

from __future__ import annotations

# The C class under socket.socket: it stays native in a host program that replaced socket.socket by a green one.
import _socket
import errno
import os
import stat
import weakref
from collections.abc import Iterable
from typing import Any

from rag_pipeline import native
from rag_pipeline.errors import ConfigurationError, PortInUseError

BACKLOG = 4_096
"""A client whose SYN finds no room tries again a second later; Linux allows 4,096 by default (net.core.somaxconn)."""
HTTP_SETTINGS = "port=, STATUS_PORT or --port"
SOCKET_SETTINGS = "socket_port=, SOCKET_IO_PORT or --socket-port"

_WILDCARDS = ("0.0.0.0", "::")


class Listener(_socket.socket):
    """A TCP socket that listens; ``address`` is where, as ``getsockname`` has it.

    A child that is forked before :meth:`close` lets go of it, and of every connection that came in through it: else
    the port would stay taken after the parent has ended, and the parent's clients would wait for an answer for ever.
    """

    address: tuple[Any, ...] = ()
    _number = -1

    def begin(self, address: tuple[object, ...], backlog: int) -> None:
        """Bind and listen."""
        self.bind(address)
        self.address = self.getsockname()
        self._number = self.fileno()
        _open.add(self)
        self.listen(backlog)

    def give_up(self) -> None:
        """Listen no more, where the descriptor was handed on to a thread that hangs: the port can be bound again."""
        if self in _open:
            native.end_connection(self._number)

    def close(self) -> None:
        """Free the port; also tells that the connections are closed, where the descriptor was handed on."""
        _open.discard(self)
        super().close()


_open: weakref.WeakSet[Listener] = weakref.WeakSet()


def open_listener(host: str, port: int, backlog: int = BACKLOG, *, settings: str = HTTP_SETTINGS) -> Listener:
    """Return a native TCP socket that listens on ``host`` and ``port``; port 0 picks a free one.

    A name with several addresses gets its first IPv4 one, as clients that are told ``localhost`` try that as well.
    Raises :class:`PortInUseError` when the port is taken or may not be bound, naming the ``settings`` that choose
    another, :class:`ConfigurationError` when the host is not an address of this machine.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise ConfigurationError(f"port={port}: expected a whole number from 0 to 65535")
    family, address = resolve(host, port)
    listener = Listener(family, _socket.SOCK_STREAM)
    try:
        # Lets a restarted service have its port at once; one where another server listens is still refused.
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.begin(address, backlog)
    except OSError as error:
        listener.close()
        raise _explain(error, host, port, settings) from None
    return listener


def resolve(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return the family and address that a listener on ``host`` and ``port`` is bound to."""
    try:
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM, 0, _socket.AI_PASSIVE)
    except (OSError, ValueError, OverflowError) as error:  # ValueError: a NUL, or a label IDNA has no form for
        raise ConfigurationError(
            f"host={host!r} (STATUS_HOST), port={port}: expected a host name or address of this machine"
        ) from error
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != _socket.AF_INET)
    return family, address


def _explain(error: OSError, host: str, port: int, settings: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        taken = PortInUseError(
            f"port {port} on {host} is in use; stop what listens there, or choose another port with {settings} "
            "(0 picks a free one)"
        )
    elif error.errno in (errno.EACCES, errno.EPERM):
        taken = PortInUseError(
            f"port {port} on {host} may not be bound by this user; choose one above 1023 with {settings}"
        )
    elif error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return ConfigurationError(f"host={host!r} (STATUS_HOST): expected an address of this machine")
    else:
        taken = PortInUseError(f"port {port} on {host} could not be bound: {error.strerror}")
    taken.errno = error.errno
    return taken


# -- in a forked child -------------------------------------------------------------------------------------------------


def _leave_to_parent() -> None:
    """Let go of the listeners, and of the connections that came in through them.

    The number of each descriptor stays taken, by /dev/null: objects that the parent's threads left here still close
    it some day, and must not close a file of the child's that has got the number since.
    """
    addresses = [listener.address for listener in _open]
    _open.clear()
    if not addresses:
        return
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in _descriptors():
        if _came_in(fd, addresses):
            os.dup2(null, fd, inheritable=False)
    os.close(null)


def _descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(folder)]  # noqa: PTH208 - bare names, no paths
        except OSError:
            continue
    return []


def _came_in(fd: int, addresses: Iterable[tuple[Any, ...]]) -> bool:
    """Return whether the descriptor is a TCP socket of one of the listeners' addresses."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        sock = _socket.socket(fileno=fd)
    except OSError:
        return False
    try:
        if sock.family not in (_socket.AF_INET, _socket.AF_INET6) or sock.type != _socket.SOCK_STREAM:
            return False
        host, port = sock.getsockname()[:2]
    except OSError:
        return False
    finally:
        sock.detach()
    return any(port == bound[1] and bound[0] in (host, *_WILDCARDS) for bound in addresses)


os.register_at_fork(after_in_child=_leave_to_parent)
