"""One call of a tracked function for one file: what it shows from its start to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rag_pipeline.adapters.current_file import current
from rag_pipeline.adapters.file_argument import Choice, File, FileArgument
from rag_pipeline.adapters.reporter import Reporter


class Call:
    """The work on one file; ``result`` is what its end shows."""

    def __init__(self, reporter: Reporter, file: File) -> None:
        self.file = file
        self.result: Any = None
        self._reporter = reporter

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Show the stage the file is in."""
        self._reporter.stage(self.file, stage, progress)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the block as the work: started, then completed or failed; what it raises goes on its way."""
        self._reporter.start(self.file)
        try:
            yield
        except GeneratorExit:  # whoever iterates has enough
            self._reporter.skip(self.file, "closed before its end")
            raise
        except BaseException as error:
            self._reporter.fail(self.file, error)
            raise
        self._reporter.complete(self.file, self.result)


class Part(Call):
    """A call within another one for the same file: a stage of it."""

    def __init__(self, reporter: Reporter, file: File, name: str) -> None:
        super().__init__(reporter, file)
        self._name = name

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the block as a stage."""
        self.stage(self._name)
        yield


class Calls:
    """Tells which file a call of one function is about."""

    def __init__(self, function: Callable[..., Any], choice: Choice, reporter: Reporter) -> None:
        self._name: str = getattr(function, "__name__", "call")
        self._argument = FileArgument(function, choice)
        self._reporter = reporter

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """Return the call to show; None if it is about no file."""
        try:
            file = self._argument.find(args, kwargs)
        except Exception as error:  # noqa: BLE001 - of the choice, which is the user's own code
            self._reporter.tell(error)
            return None
        if file is None:
            return None
        outer = current()
        if isinstance(outer, Call) and outer.file == file:
            return Part(self._reporter, file, self._name)
        return Call(self._reporter, file)
