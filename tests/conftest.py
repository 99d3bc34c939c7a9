"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Machines that run tests are busy; waits have deadlines of their own.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# A bad argument is a mistake of the test; what users get instead is tested where this is unset.
os.environ["STATUS_STRICT"] = "1"

LONGEST_BYTES_IN_A_NAME = 24


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name a file's bytes by their number: archives hold the time, and each process has to find tests of one name."""
    if isinstance(val, bytes) and len(val) > LONGEST_BYTES_IN_A_NAME:
        return f"{argname} of {len(val)} bytes"
    return None


@pytest.fixture
def bare_hooks() -> Iterator[None]:
    """Take away what tools hang into the interpreter.

    An exception raised into a thread can hit a hook in the middle of an import, whose lock then stays taken.
    """
    callbacks, unraisable, unhandled = gc.callbacks[:], sys.unraisablehook, threading.excepthook
    gc.callbacks.clear()
    sys.unraisablehook = threading.excepthook = id
    yield
    gc.callbacks.extend(callbacks)
    sys.unraisablehook, threading.excepthook = unraisable, unhandled
