"""The protocol of a pipeline's source: a folder, local or remote, that a pipeline keeps the store in step with."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from rag_pipeline.errors import ConfigurationError, RagPipelineError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.open_file import open_regular
from rag_pipeline.ingest.types import ProgressCallback

Check = Callable[[], None]
"""Called often during long work; raises :class:`~rag_pipeline.ingest.types.Stopped`, which must not be caught."""

MoveKey = tuple[int, float]


class FoundFile(NamedTuple):
    """A readable file in the source.

    file_id: stays the same when name or content change; tells two files with one name apart.
    name: shown to people.
    uri: where a reader finds it; stored with the chunks.
    size: in bytes; 0 if unknown before the file is fetched.
    modified_at: seconds since 1970.
    version: changes whenever the content may have changed.
    link: web address to show.
    mime_type: the type that the source reports.
    """

    file_id: str
    name: str
    uri: str
    size: int
    modified_at: float
    version: str
    link: str | None = None
    mime_type: str | None = None

    @property
    def move_key(self) -> MoveKey:
        """Properties that a moved file keeps: its size and its modification time."""
        return self.size, self.modified_at


class Unreadable(NamedTuple):
    """An entry that can't be read as a file: shown as skipped with the reason, or as failed if ``is_error``.

    ``is_error`` means that the entry should be readable and is not; its stored text is kept.
    """

    file_id: str
    name: str
    reason: str
    is_error: bool
    link: str | None = None

    @property
    def version(self) -> str:
        """Changes with the reason."""
        return self.reason


class OpenFile(NamedTuple):
    """A file opened for reading, at its start.

    path: names the file in messages; its suffix tells the type. Another file may have this path by now.
    """

    path: str
    descriptor: int


@contextmanager
def open_local(path: str) -> Iterator[OpenFile]:
    """Open a regular file of this machine while the block runs; raises OSError."""
    try:
        descriptor = open_regular(path)
    except UnsupportedFileTypeError:
        raise FileNotFoundError(errno.ENOENT, "is no longer a file", path) from None
    try:
        yield OpenFile(path, descriptor)
    finally:
        os.close(descriptor)


def _never(_: str) -> bool:
    return False


class Snapshot(NamedTuple):
    """Everything that one scan found, by file id.

    may_exist: whether a known file that the scan missed may still exist, as below a folder that could not be listed.
    identity: tells this folder from another one at the same location, such as an empty mount point.
    is_gone: whether the source is sure that a file is gone; then no second scan has to miss it.
    confirm_missing: asks the source about known files that the scan missed, and returns a new snapshot; called before
    ``may_exist``, raises what :meth:`Source.scan` raises. None if scans miss nothing.
    """

    files: Mapping[str, FoundFile]
    unreadable: Mapping[str, Unreadable]
    may_exist: Callable[[str], bool]
    identity: str
    is_gone: Callable[[str], bool] = _never
    confirm_missing: Callable[[Collection[str], Check], Snapshot] | None = None


class SourceUnavailableError(Exception):
    """The source can't be scanned or read now; the pipeline retries until it can.

    The pipeline shows the status ``error`` with the message, deletes nothing, and scans again after ``retry_seconds``
    (default: the usual interval). A single pass can't wait: it ends with an error of type ``ends_with``.
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

    def end(self, location: str) -> RagPipelineError:
        """Return the error that ends a single pass over ``location``."""
        return self.ends_with(f"{location}: {self}")


class SkippedError(Exception):
    """The file can't be had, and that is no failure: its owner forbids downloads, for example."""


class ChangeWatcher(Protocol):
    """Watches a source for changes, on its own thread."""

    @property
    def active(self) -> bool:
        """Whether changes are noticed now."""
        ...

    def renew(self) -> None:
        """Start over: another folder is at the location now."""
        ...


class Source(Protocol):
    """A folder of files.

    kind: the type of the pipeline, such as ``local_files``.
    location: names the folder for people; kept in the ledger, so that two sources never share a state.
    status_fields: fields for the status, such as the folder's name.
    transfers: whether files are downloaded before they are read.
    settle_seconds: a file must not have changed for this long before it is read; 0 where files appear whole.
    """

    @property
    def kind(self) -> str: ...

    @property
    def location(self) -> str: ...

    @property
    def status_fields(self) -> Mapping[str, object]: ...

    @property
    def transfers(self) -> bool: ...

    @property
    def settle_seconds(self) -> float: ...

    def scan(self, check: Check) -> Snapshot:
        """Return everything in the folder; called by the run loop's thread only.

        Raises :class:`SourceUnavailableError`; any other error ends the pipeline. ``check`` ends a scan when the
        pipeline is stopped or paused; it starts over later.
        """
        ...

    def recheck_root(self) -> None:
        """Make the next scan take nothing from the last one: files were not as expected, or a person asked.

        Called by the run loop's thread.
        """
        ...

    def fetch(self, file: FoundFile, on_progress: ProgressCallback, check: Check) -> AbstractContextManager[OpenFile]:
        """Open the content on this machine while the block runs; called by several threads.

        A source that downloads calls ``on_progress`` with the fraction done, at once and then often, which shows the
        stage ``downloading``. Raises FileNotFoundError if the file is gone, :class:`SkippedError`,
        :class:`SourceUnavailableError` if the cause is not this file, and any other error to fail the file; its
        attribute ``retryable`` says whether a retry may help.
        """
        ...

    def version_now(self, file: FoundFile) -> str:
        """Return the file's current version; raises FileNotFoundError if it is gone, OSError if unknown.

        Called several times a second while the file is ingested, so it must not cost a request.
        """
        ...

    def watch(self, wake: Callable[[], None], stop: threading.Event) -> ChangeWatcher | None:
        """Call ``wake`` on each change, until ``stop``; return None if only scans find changes."""
        ...
