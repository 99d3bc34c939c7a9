"""LanceDB's exceptions as one-line errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.lance.errors import store_errors
from rag_pipeline.ingest.types import Stopped

STORE = Path("/data/store")


class PanicException(BaseException):
    """A panic of a Rust library in Python: a BaseException whose module can't be imported."""


def translate(error: BaseException) -> StoreError:
    with pytest.raises(StoreError) as caught, store_errors(STORE, "storing 'a.txt'"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "no permission to write there"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EFBIG, "a file would be larger than allowed"),
        (errno.ENOTDIR, "a part of the path is a file"),
    ],
)
def test_a_system_error_is_described_in_plain_words(number: int, cause: str) -> None:
    words = os.strerror(number)
    expected = f"{STORE}: storing 'a.txt' failed: {cause}"
    assert str(translate(OSError(number, words, "x.lance"))) == expected
    # LanceDB's message is a paragraph with the system's message somewhere inside.
    deep = f"lance error: LanceError(IO): Generic LocalFileSystem error:\n  {words} (os error {number})\n, rust/x.rs:1"
    assert str(translate(RuntimeError(deep))) == expected


def test_a_full_disk_is_reported() -> None:
    with (
        pytest.raises(StoreError, match="the disk is full"),
        store_errors(STORE, "writing"),
        open("/dev/full", "wb", buffering=0) as full,  # noqa: PTH123 - a device
    ):
        full.write(b"x")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad footer"), "bad footer"),
        (ValueError("\n\n  first line  \nsecond line"), "first line"),
        (ValueError(), "ValueError"),
        (ValueError(" \n "), "ValueError"),
        (ValueError("x" * 1000), "x" * 300),
        (MemoryError(), "MemoryError"),
        (PanicException("index out of bounds\nnote: run with RUST_BACKTRACE=1"), "index out of bounds"),
    ],
    ids=["line", "lines", "nothing", "blank", "long", "memory", "panic"],
)
def test_any_other_failure_is_reported_with_its_first_line(error: BaseException, expected: str) -> None:
    assert str(translate(error)) == f"{STORE}: storing 'a.txt' failed: {expected}"


@pytest.mark.parametrize(
    "error", [StoreError("closed"), Stopped(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr
)
def test_other_exceptions_are_not_translated(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, store_errors(STORE, "storing"):
        raise error
    assert caught.value is error


def test_a_block_without_errors_is_not_affected() -> None:
    with store_errors(STORE, "storing"):
        done = True
    assert done
