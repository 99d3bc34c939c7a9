"""Seccomp: restrict a process to the system calls that it needs to read open files and load Python modules."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from rag_pipeline.ingest.extract.syscalls import prctl

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_DENY = _ERRNO | errno.EPERM
_UNKNOWN = _ERRNO | errno.ENOSYS

# Classic BPF: load a word, jump if equal, if greater, if bits are set, return.
_LOAD, _EQUAL, _GREATER, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data

# Calls with higher numbers fail with ENOSYS. The C library then uses an older call, as on an older kernel.
_LAST_KNOWN = 450
_CLONE_THREAD = 0x10000
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FCNTL = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
_IOCTL = (0x5401, 0x541B, 0x5450, 0x5451)  # TCGETS, FIONREAD, FIONCLEX, FIOCLEX


class _Machine(NamedTuple):
    """An architecture: its audit number for seccomp, and its column in ``_CALLS``."""

    audit: int
    column: int


_MACHINES = {"x86_64": _Machine(0xC000003E, 0), "aarch64": _Machine(0xC00000B7, 1)}

# Allowed calls: their numbers on x86-64 and arm64; -1 if the architecture lacks the call. Calls that reach other
# processes, the network, or the names and attributes of files, or that start a program, are not among them.
_CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "stat": (4, -1), "fstat": (5, 80), "lstat": (6, -1),
    "poll": (7, -1), "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66), "access": (21, -1), "select": (23, -1), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "dup2": (33, -1), "nanosleep": (35, 101),
    "getpid": (39, 172), "recvmsg": (47, 212), "exit": (60, 93), "uname": (63, 160), "getcwd": (79, 17),
    "readlink": (89, -1), "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165),
    "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175),
    "getegid": (108, 177), "getppid": (110, 173), "sigaltstack": (131, 132), "getpriority": (140, 141),
    "gettid": (186, 178), "time": (201, -1),
    "futex": (202, 98), "sched_getaffinity": (204, 123), "getdents64": (217, 61), "set_tid_address": (218, 96),
    "restart_syscall": (219, 128), "fadvise64": (221, 223), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "newfstatat": (262, 79), "readlinkat": (267, 78),
    "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73), "set_robust_list": (273, 99), "dup3": (292, 24),
    "getcpu": (309, 168), "getrandom": (318, 278), "membarrier": (324, 283), "statx": (332, 291), "rseq": (334, 293),
    "close_range": (436, 436), "faccessat2": (439, 439),
}  # fmt: skip
# Calls that are allowed with some arguments only.
_OPEN, _OPENAT = (2, -1), (257, 56)
_TGKILL, _PRLIMIT = (234, 131), (302, 261)
_CLONE, _CLONE3 = (56, 220), (435, 435)
_FCNTL_CALL, _IOCTL_CALL = (72, 25), (16, 29)

Instruction = tuple[int, int, int, int]
"""Opcode, jump if true, jump if false, constant."""


def allow_reading_only() -> bool:
    """Forbid this process and its threads the network, programs, other processes, and changes to files.

    A forbidden call fails with EPERM. Return whether the filter is in force: it needs seccomp, and x86-64 or arm64.
    Either ``no_new_privs`` must be set or the process must be root.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    try:
        install(program(machine.audit, machine.column, os.getpid()))
    except OSError:
        return False
    return True


def install(instructions: Sequence[Instruction]) -> None:
    """Install a filter, for good; raises OSError."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(instructions), ctypes.addressof(buffer))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.create_string_buffer(header, len(header)))


def program(audit: int, column: int, process_id: int) -> list[Instruction]:
    """Return the filter for an architecture, given its audit number and its column in ``_CALLS``."""
    block: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, audit),
        _result(_DENY),  # another call table, such as that of 32-bit programs
        (_LOAD, 0, 0, _NUMBER),
    ]
    for numbers in _CALLS.values():
        block += _when(numbers[column], [_result(_ALLOW)])
    block += _when(_OPEN[column], _refuse_bits(1, _WRITE_FLAGS))
    block += _when(_OPENAT[column], _refuse_bits(2, _WRITE_FLAGS))
    block += _when(_FCNTL_CALL[column], _allow_values(1, _FCNTL))
    block += _when(_IOCTL_CALL[column], _allow_values(1, _IOCTL))
    block += _when(_TGKILL[column], _allow_values(0, (process_id,)))  # for abort()
    block += _when(_PRLIMIT[column], _allow_values(0, (0,)))  # 0: this process
    block += _when(_CLONE[column], [_argument(0), (_BITS, 1, 0, _CLONE_THREAD), _result(_DENY), _result(_ALLOW)])
    # A filter can't read clone3's flags from memory; with ENOSYS the C library falls back to clone.
    block += _when(_CLONE3[column], [_result(_UNKNOWN)])
    return [*block, (_GREATER, 0, 1, _LAST_KNOWN), _result(_UNKNOWN), _result(_DENY)]


def _result(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


def _argument(index: int) -> Instruction:
    # The low half: all checked arguments are ints. Both architectures are little-endian.
    return (_LOAD, 0, 0, 16 + 8 * index)


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    """Return instructions that run ``block``, which must end with a result, for one call."""
    return [] if number < 0 else [(_EQUAL, 0, len(block), number), *block]


def _refuse_bits(index: int, bits: int) -> list[Instruction]:
    return [_argument(index), (_BITS, 0, 1, bits), _result(_DENY), _result(_ALLOW)]


def _allow_values(index: int, values: Sequence[int]) -> list[Instruction]:
    checks = [(_EQUAL, len(values) - number, 0, value) for number, value in enumerate(values)]
    return [_argument(index), *checks, _result(_DENY), _result(_ALLOW)]
