"""Opening a listening socket, with errors a person can act on."""

from __future__ import annotations

# The C class under socket.socket: it stays native in a host program that replaced socket.socket by a green one.
import _socket
import errno

from rag_pipeline.errors import ConfigurationError, PortInUseError

BACKLOG = 1_024


def open_listener(host: str, port: int, backlog: int = BACKLOG) -> _socket.socket:
    """Return a native TCP socket that listens on ``host`` and ``port``; port 0 picks a free one.

    A name with several addresses gets its first IPv4 one, as clients that are told ``localhost`` try that as well.
    Raises :class:`PortInUseError` when the port is taken or may not be bound, :class:`ConfigurationError` when
    the host is not an address of this machine.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise ConfigurationError(f"port={port}: expected a whole number from 0 to 65535")
    family, address = _resolve(host, port)
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        # Lets a restarted service have its port at once; one where another server listens is still refused.
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise _explain(error, host, port) from None
    return listener


def _resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM, 0, _socket.AI_PASSIVE)
    except (OSError, ValueError, OverflowError) as error:  # ValueError: a NUL, or a label IDNA has no form for
        raise ConfigurationError(
            f"host={host!r} (STATUS_HOST), port={port}: expected a host name or address of this machine"
        ) from error
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != _socket.AF_INET)
    return family, address


def _explain(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        taken = PortInUseError(f"port {port} on {host} is in use; stop what listens there or choose another port")
    elif error.errno in (errno.EACCES, errno.EPERM):
        taken = PortInUseError(f"port {port} on {host} may not be bound by this user; choose one above 1023")
    elif error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return ConfigurationError(f"host={host!r} (STATUS_HOST): expected an address of this machine")
    else:
        taken = PortInUseError(f"port {port} on {host} could not be bound: {error.strerror}")
    taken.errno = error.errno
    return taken
