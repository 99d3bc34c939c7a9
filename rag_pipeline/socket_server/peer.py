"""Tells whether the peer of a TCP connection is still there, and whether it has received everything.

Linux answers exactly. Elsewhere the end is noticed once all data before it was read, and a reset counts as a loss.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios

_LINUX = sys.platform == "linux"
_ESTABLISHED, _CLOSE = 1, 7  # from the kernel's tcp_states.h


def is_gone(connection: socket.socket) -> bool:
    """Return whether the peer has closed, half-closed or reset the connection."""
    if connection.fileno() < 0:
        return True
    if _LINUX:
        return _state(connection) != _ESTABLISHED
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def has_lost(connection: socket.socket) -> bool:
    """Return whether the peer left before it had received everything.

    A reset means that it did: TCP sends one in answer to data that came too late, and when a socket is closed with
    unread data.
    """
    if connection.fileno() < 0:
        return True
    if _LINUX:
        state = _state(connection)
        return state == _CLOSE or (state != _ESTABLISHED and _unacknowledged(connection) > 0)
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def _state(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def _unacknowledged(connection: socket.socket) -> int:
    """Return the number of bytes that were not sent yet, or not acknowledged."""
    number: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return number
