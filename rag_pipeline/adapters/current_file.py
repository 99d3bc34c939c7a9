"""The file that the running code works on, so that it can say the stage without being handed anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Protocol


class Current(Protocol):
    """A file that is being worked on."""

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Show the stage the file is in; never raises."""
        ...


_current: ContextVar[Current | None] = ContextVar("rag_pipeline_current_file", default=None)


def stage(stage: str, progress: float | None = None) -> None:
    """Show the stage of the file that is being worked on here, and the fraction of it that is done, 0 to 1.

    Works inside a tracked function or a Celery task that is shown, in whatever they call; elsewhere it does nothing.
    """
    file = _current.get()
    if file is not None:
        file.stage(stage, progress)


def current() -> Current | None:
    """Return the file that is being worked on here."""
    return _current.get()


def enter(file: Current) -> Token[Current | None]:
    """Say what is being worked on here from now on; :func:`leave` takes it back."""
    return _current.set(file)


def leave(token: Token[Current | None]) -> None:
    """Take back what :func:`enter` said."""
    _current.reset(token)


@contextmanager
def working_on(file: Current) -> Iterator[None]:
    """Say what is being worked on in the block."""
    token = enter(file)
    try:
        yield
    finally:
        leave(token)
