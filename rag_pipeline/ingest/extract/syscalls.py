"""System calls for confinement that the standard library does not wrap."""

from __future__ import annotations

import ctypes
import os
import sys

IS_LINUX = sys.platform == "linux"

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522
_CAP_DAC_READ_SEARCH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call; arguments are numbers, buffers and null pointers. Raises OSError."""
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *values))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option: int, *arguments: int | ctypes.Array[ctypes.c_char]) -> None:
    """Change an attribute of this process; raises OSError."""
    values = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    values += [ctypes.c_ulong(0)] * (4 - len(values))
    if _libc.prctl(option, *values) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def forbid_new_privileges() -> None:
    """Keep started programs from gaining privileges, as Landlock and seccomp require; raises OSError."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Drop all capabilities; root keeps CAP_DAC_READ_SEARCH. Raises OSError.

    Root keeps it because libraries may be readable only by another user. A process with fewer capabilities than its
    parent can't read the parent's memory or environment, even as root.
    """
    header = ctypes.create_string_buffer(_CAPABILITY_VERSION.to_bytes(4, sys.byteorder) + bytes(4), 8)
    kept = (1 << _CAP_DAC_READ_SEARCH).to_bytes(4, sys.byteorder) if os.geteuid() == 0 else bytes(4)
    data = ctypes.create_string_buffer(kept + kept + bytes(16), 24)
    if _libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
