"""Open a listening socket, with errors that say what to do; a forked child leaves it to its parent."""

from __future__ import annotations

# The C class under socket.socket stays native in a host program that has replaced socket.socket by a green one.
import _socket
import errno
import os
import stat
import weakref
from collections.abc import Iterable
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.common.probe import probe
from rag_pipeline.errors import ConfigurationError, PortInUseError

BACKLOG = 4_096
"""A client whose SYN finds the queue full retries after a second. Linux caps it at 4,096 (net.core.somaxconn)."""
PROBE_SECONDS = 0.5
HTTP_SETTINGS = "port=, STATUS_PORT or --port"
SOCKET_SETTINGS = "socket_port=, SOCKET_IO_PORT or --socket-port"

_WILDCARDS = ("0.0.0.0", "::")


class ListeningSocket(_socket.socket):
    """A listening TCP socket; ``address`` is its ``getsockname()``.

    A child forked before :meth:`close` releases it, and every connection accepted by it. Otherwise the port would stay
    taken after the parent has ended, and the parent's clients would wait for ever.
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
        """Stop listening although a hanging thread has the descriptor, so that the port can be bound again."""
        if self in _open:
            native.end_connection(self._number)

    def close(self) -> None:
        """Free the port, and forget the listener: its connections are closed too."""
        _open.discard(self)
        super().close()


_open: weakref.WeakSet[ListeningSocket] = weakref.WeakSet()


def open_listener(host: str, port: int, backlog: int = BACKLOG, *, settings: str = HTTP_SETTINGS) -> ListeningSocket:
    """Return a native TCP socket that listens on ``host`` and ``port``; port 0 picks a free one.

    A name with several addresses uses its first IPv4 one, because clients of ``localhost`` try that too. Raises
    :class:`PortInUseError` if the port is taken or may not be bound, with the ``settings`` that choose another one, and
    :class:`ConfigurationError` if the host is not an address of this machine.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise ConfigurationError(f"port={port}: expected a whole number from 0 to 65535")
    family, address = resolve(host, port)
    listener = ListeningSocket(family, _socket.SOCK_STREAM)
    try:
        # A restarted service gets its port at once; a port where another server listens is still refused.
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.begin(address, backlog)
    except OSError as error:
        listener.close()
        raise _explain(error, host, port, settings) from None
    return listener


def resolve(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return the family and address that a listener on ``host`` and ``port`` binds to."""
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
        owner = "another program or a service that is starting"
        if _is_rag_pipeline(host, port):
            owner = "a rag-pipeline service"
        taken = PortInUseError(
            f"port {port} on {host} is in use by {owner}; stop it, or choose another port with {settings} "
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


def _is_rag_pipeline(host: str, port: int) -> bool:
    """Return whether ``/health`` on the port is that of one of this package's servers."""
    health = probe(host, port, "/health", timeout_seconds=PROBE_SECONDS).body
    return isinstance(health, dict) and "status" in health and ("socket_io" in health or "clients" in health)


# -- in a forked child -------------------------------------------------------------------------------------------------


def _leave_to_parent() -> None:
    """Release the listeners and the connections accepted by them.

    /dev/null takes the number of each descriptor. Objects that the parent's threads left here close it later, and must
    not close a file of the child under the same number.
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
