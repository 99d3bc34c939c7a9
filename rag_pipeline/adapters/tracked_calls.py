"""Calls of a tracked function, each reported as the processing of one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rag_pipeline.adapters.current_file import current
from rag_pipeline.adapters.file_argument import Choice, File, FileArgument
from rag_pipeline.adapters.reporter import Reporter


class TrackedCall:
    """One call; ``result`` is reported with its completion."""

    def __init__(self, reporter: Reporter, file: File) -> None:
        self.file = file
        self.result: Any = None
        self._reporter = reporter

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Report the stage of the file."""
        self._reporter.stage(self.file, stage, progress)

    def warn(self, type: str, message: str, count: int = 1) -> None:  # noqa: A002 - the warning's own word for it
        """Add a warning to the file."""
        self._reporter.warn(self.file, type, message, count)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Report the block as started, then completed or failed; exceptions propagate."""
        self._reporter.start(self.file)
        try:
            yield
        except GeneratorExit:  # the caller stopped iterating
            self._reporter.skip(self.file, "closed before its end")
            raise
        except BaseException as error:
            self._reporter.fail(self.file, error)
            raise
        self._reporter.complete(self.file, self.result)


class NestedCall(TrackedCall):
    """A call inside another one for the same file; reported as a stage."""

    def __init__(self, reporter: Reporter, file: File, name: str) -> None:
        super().__init__(reporter, file)
        self._name = name

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Report the start of the block as a stage."""
        self.stage(self._name)
        yield


class CallFactory:
    """Makes a :class:`TrackedCall` for each call of one function."""

    def __init__(self, function: Callable[..., Any], choice: Choice, reporter: Reporter) -> None:
        self._name: str = getattr(function, "__name__", "call")
        self._argument = FileArgument(function, choice)
        self._reporter = reporter

    def create(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TrackedCall | None:
        """Return the call to report; None if it has no file."""
        try:
            file = self._argument.find(args, kwargs)
        except Exception as error:  # noqa: BLE001 - the choice may be a function of the user
            self._reporter.log_failure(error)
            return None
        if file is None:
            return None
        outer = current()
        if isinstance(outer, TrackedCall) and outer.file == file:
            return NestedCall(self._reporter, file, self._name)
        return TrackedCall(self._reporter, file)
