"""The seccomp filter, interpreted as the kernel does; test_confinement has the attacks."""

from __future__ import annotations

import os
import struct

import pytest

from rag_pipeline.ingest.extract import seccomp
from rag_pipeline.ingest.extract.seccomp import Instruction, program

ALLOWED, REFUSED, UNKNOWN = 0x7FFF0000, 0x50001, 0x50026
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


def verdict(filter_: list[Instruction], audit: int, number: int, *arguments: int) -> int:
    """Interpret the filter, a classic BPF program, and return its result for a call."""
    data = struct.pack("<IIQ6Q", number, audit, 0, *(*arguments, *[0] * (6 - len(arguments))))
    at = word = 0
    while True:
        code, if_true, if_false, value = filter_[at]
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("<I", data, value)
            case 0x06:
                return value
            case 0x15:
                at += if_true if word == value else if_false
            case 0x25:
                at += if_true if word > value else if_false
            case 0x45:
                at += if_true if word & value else if_false
            case _:
                raise AssertionError(f"no such instruction: {code}")


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> tuple[list[Instruction], int, int]:
    """The filter of an architecture for process 99, with the architecture's audit number and column."""
    audit, column = MACHINES[request.param]
    return program(audit, column, 99), audit, column


def test_only_the_listed_calls_are_allowed(
    machine: tuple[list[Instruction], int, int],
) -> None:
    filter_, audit, column = machine
    plain = {numbers[column] for numbers in seccomp._CALLS.values()} - {-1}
    partly = {
        numbers[column]
        for numbers in (seccomp._OPEN, seccomp._OPENAT, seccomp._FCNTL_CALL, seccomp._PRLIMIT)
    }  # fmt: skip
    for number in range(seccomp._LAST_KNOWN + 1):
        if number in plain:
            assert verdict(filter_, audit, number, 99, 99) == ALLOWED
        elif number not in partly and number != 435:
            assert verdict(filter_, audit, number) == REFUSED, number
    assert verdict(filter_, audit, 435) == verdict(filter_, audit, 1000) == UNKNOWN


def test_some_calls_are_allowed_with_some_arguments_only(machine: tuple[list[Instruction], int, int]) -> None:
    filter_, audit, column = machine

    def of(numbers: tuple[int, int], *arguments: int) -> bool:
        return verdict(filter_, audit, numbers[column], *arguments) == ALLOWED

    assert of(seccomp._OPENAT, 0, 0, os.O_RDONLY | os.O_CLOEXEC)
    for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC):
        assert not of(seccomp._OPENAT, 0, 0, flag)
    assert [of(seccomp._FCNTL_CALL, 0, command) for command in (1, 8)] == [True, False]  # F_GETFD, F_SETOWN
    assert [of(seccomp._IOCTL_CALL, 0, request) for request in (0x5401, 0x5412)] == [True, False]  # TCGETS, TIOCSTI
    assert [of(seccomp._TGKILL, process) for process in (99, 98)] == [True, False]
    assert [of(seccomp._PRLIMIT, process) for process in (0, 98)] == [True, False]
    assert [of(seccomp._CLONE, flags) for flags in (0x10000, 17)] == [True, False]  # a thread, a child


def test_calls_of_another_architecture_are_refused(machine: tuple[list[Instruction], int, int]) -> None:
    filter_, audit, _ = machine
    assert verdict(filter_, audit ^ 1, 0) == REFUSED


def test_an_unknown_architecture_or_a_kernel_without_seccomp_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(seccomp, "prctl", refuse)
    assert not seccomp.allow_reading_only()
    monkeypatch.setattr(seccomp, "_MACHINES", {})
    assert not seccomp.allow_reading_only()
