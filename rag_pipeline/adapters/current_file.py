"""The file that the running code processes, in a context variable, so reports need no argument for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Protocol


class CurrentFile(Protocol):
    """The file that is being processed."""

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Report the stage of the file; never raises."""
        ...

    def warn(self, type: str, message: str, count: int = 1) -> None:  # noqa: A002 - the warning's own word for it
        """Add a warning to the file; never raises."""
        ...


_current: ContextVar[CurrentFile | None] = ContextVar("rag_pipeline_current_file", default=None)


def stage(stage: str, progress: float | None = None) -> None:
    """Report the stage of the current file, and the fraction of it that is done, 0 to 1.

    Works inside a tracked function or a tracked Celery task, and in everything they call; elsewhere it does nothing.
    """
    file = _current.get()
    if file is not None:
        file.stage(stage, progress)


def warn(type: str, message: str, count: int = 1) -> None:  # noqa: A002 - the warning's own word for it
    """Add a warning to the current file, which it shows once it completes.

    ``type`` is a short fixed word, ``message`` a sentence for people, ``count`` the number of cases; equal warnings are
    added up. Works where :func:`stage` works; elsewhere it does nothing.
    """
    file = _current.get()
    if file is not None:
        file.warn(type, message, count)


def current() -> CurrentFile | None:
    """Return the current file, None if there is none."""
    return _current.get()


def enter(file: CurrentFile) -> Token[CurrentFile | None]:
    """Set the current file until :func:`leave` gets the token."""
    return _current.set(file)


def leave(token: Token[CurrentFile | None]) -> None:
    """Restore the current file that was set before :func:`enter`."""
    _current.reset(token)


@contextmanager
def working_on(file: CurrentFile) -> Iterator[None]:
    """Set the current file during the block."""
    token = enter(file)
    try:
        yield
    finally:
        leave(token)
