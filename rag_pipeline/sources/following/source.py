"""What a pipeline follows: a place with files, seen through the same few calls whatever it is."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from rag_pipeline.errors import ConfigurationError, RagPipelineError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.opening import open_regular
from rag_pipeline.ingest.types import Progress

Check = Callable[[], None]
"""Called often during whatever takes long; raises :class:`~rag_pipeline.ingest.types.Stopped`, which has to pass."""


class FoundFile(NamedTuple):
    """A file that is there to be read.

    file_id: stays the same over changes of name and content, and tells two files of one name apart.
    name: what people read.
    uri: where a reader finds it; goes into the store.
    size: in bytes, 0 if unknown before the file is fetched.
    modified_at: seconds since 1970.
    version: changes whenever the content may have; the same version means that nothing has to be done.
    link: web address to show; mime_type: what the source takes it for.
    """

    file_id: str
    name: str
    uri: str
    size: int
    modified_at: float
    version: str
    link: str | None = None
    mime_type: str | None = None


class Oddity(NamedTuple):
    """Something that is there and can't be read as a file: shown as skipped with the reason, or failed if ``is_error``.

    ``is_error`` is for what should be readable and isn't: the text it had in the store stays there.
    """

    file_id: str
    name: str
    reason: str
    is_error: bool
    link: str | None = None

    @property
    def version(self) -> str:
        """What tells one state of the oddity from another."""
        return self.reason


class Fetched(NamedTuple):
    """The content of a file, open for reading at its start.

    path: names it in messages; its last part tells its type. What is there may be another file by now.
    """

    path: str
    descriptor: int


@contextmanager
def opened(path: str) -> Iterator[Fetched]:
    """Open a file of this machine for as long as the block lasts; raises OSError, also for what is no regular file."""
    try:
        descriptor = open_regular(path)
    except UnsupportedFileTypeError:
        raise FileNotFoundError(errno.ENOENT, "is no longer a file", path) from None
    try:
        yield Fetched(path, descriptor)
    finally:
        os.close(descriptor)


def _none_gone(_: str) -> bool:
    return False


class Found(NamedTuple):
    """All that is there now, by file id.

    unknown: whether a known file that wasn't found may still be there, as below a folder that could not be listed.
    identity: tells this place from another that has taken its name, such as an empty mount point.
    gone: whether the source is sure that a file is gone, so that no second look has to find it missing too.
    confirm: looks for known files that were not found, before ``unknown`` is asked; returns what there is then. It
    raises what :meth:`Source.look` does. None where a look misses nothing.
    """

    files: Mapping[str, FoundFile]
    oddities: Mapping[str, Oddity]
    unknown: Callable[[str], bool]
    identity: str
    gone: Callable[[str], bool] = _none_gone
    confirm: Callable[[Collection[str], Check], Found] | None = None


class SourceUnavailableError(Exception):
    """Nothing is known of the source now, or nothing can be fetched: it is tried again and recovers by itself.

    The pipeline shows the status ``error`` with the message, takes no file for deleted, and looks again after
    ``retry_seconds``, or after the usual interval. A single pass can't wait: it ends with ``ends_with``.
    """

    def __init__(
        self,
        message: str,
        retry_seconds: float | None = None,
        *,
        ends_with: type[RagPipelineError] = ConfigurationError,
    ) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.ends_with = ends_with

    def end(self, place: str) -> RagPipelineError:
        """Return the error that a single pass over ``place`` ends with."""
        return self.ends_with(f"{place}: {self}")


class SkippedError(Exception):
    """A file that is not to be had and is no failure, such as one that may not be downloaded; the message says why."""


class Watcher(Protocol):
    """Watches a source for changes, on a thread of its own."""

    @property
    def active(self) -> bool:
        """Whether changes are noticed at the moment."""
        ...

    def renew(self) -> None:
        """Watch anew: something else has taken the source's place."""
        ...


class Source(Protocol):
    """A place with files.

    kind: the type of the pipeline, such as ``local_files``.
    place: which one it is, in words people know it by; kept in the ledger, so that two never share a state.
    shown: fields for the status, such as the folder's name.
    transfers: whether a file has to be brought to this machine before it can be read.
    settle_seconds: how long nothing about a file may have changed before it is read; 0 where files appear whole.
    """

    @property
    def kind(self) -> str: ...

    @property
    def place(self) -> str: ...

    @property
    def shown(self) -> Mapping[str, object]: ...

    @property
    def transfers(self) -> bool: ...

    @property
    def settle_seconds(self) -> float: ...

    def look(self, check: Check) -> Found:
        """Return all there is now; called by the run loop's thread alone.

        Raises :class:`SourceUnavailableError`; any other error ends the pipeline. A look that ``check`` ends, since the
        pipeline was stopped or paused, is begun anew later.
        """
        ...

    def doubt(self) -> None:
        """Have the next look make sure of everything: files were not found as expected, or a person asks for it.

        Called by the run loop's thread.
        """
        ...

    def fetch(self, file: FoundFile, on_progress: Progress, check: Check) -> AbstractContextManager[Fetched]:
        """Give a local file with the content, open while the block lasts; called by several threads.

        A source that has to transfer it calls
        ``on_progress`` with the fraction done, at once and then often: the file is shown in the stage ``downloading``.
        Raises FileNotFoundError for a file that is gone, :class:`SkippedError`, :class:`SourceUnavailableError` for
        what is not about this file, and else what the file fails with; its ``retryable`` says whether that may pass.
        """
        ...

    def version_now(self, file: FoundFile) -> str:
        """Return the file's version at this moment; raises FileNotFoundError if it is gone, OSError if unknown.

        Asked several times a second during the work on a file, so it must not cost a request.
        """
        ...

    def watch(self, hint: Callable[[], None], stop: threading.Event) -> Watcher | None:
        """Call ``hint`` when a look is due at once, until ``stop``; None where changes are found by looking alone."""
        ...
