"""Returns freed memory to the operating system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back_memory() -> None:
    """Make glibc return freed memory to the system; does nothing on other C libraries.

    Merging a table briefly takes much memory on many threads, and glibc keeps what each thread freed: after 3,000 files
    the process had 531 MB, and 329 MB with this. See malloc_trim(3).
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        function: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None  # not glibc
    return function
