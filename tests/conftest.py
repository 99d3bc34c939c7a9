"""Settings and fixtures of all tests."""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Hypothesis sets no deadlines: machines that run tests are busy, and waits have their own deadlines.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# Bad arguments raise in tests. The tests of the lenient behaviour unset this.
os.environ["STATUS_STRICT"] = "1"

MAX_BYTES_IN_A_NAME = 24


SLOW_FILE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip files that are slow as a whole before importing them: imports are half the time of a quick run."""
    if config.getoption("markexpr") != "not slow" or collection_path.suffix != ".py":
        return None
    return True if SLOW_FILE.search(collection_path.read_text()) else None


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name long bytes by their length: archives contain the time, but test ids must be equal in all xdist processes."""
    if isinstance(val, bytes) and len(val) > MAX_BYTES_IN_A_NAME:
        return f"{argname} of {len(val)} bytes"
    return None


@pytest.fixture
def bare_hooks() -> Iterator[None]:
    """Remove the interpreter hooks that test tools install.

    An exception raised into a thread can hit a hook inside an import, and the import lock then stays locked.
    """
    callbacks, unraisable, unhandled = gc.callbacks[:], sys.unraisablehook, threading.excepthook
    gc.callbacks.clear()
    sys.unraisablehook = threading.excepthook = id
    yield
    gc.callbacks.extend(callbacks)
    sys.unraisablehook, threading.excepthook = unraisable, unhandled
