"""What LangChain's indexing does to the files of one run, worked out from the calls that it makes.

For each batch of documents it takes them from the source, gives each its key and source, asks the record manager which
keys exist, writes those that do not to the vector store, and then updates the record manager.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag_pipeline.adapters.file_argument import File, file_of
from rag_pipeline.adapters.reporter import Reporter

UNNAMED = "documents without a source"
MAX_SOURCES_REMEMBERED = 100_000
_SOURCE_KEYS = ("source", "file_path", "url")
COUNTS = ("num_added", "num_updated", "num_skipped", "num_deleted")


class Document(Protocol):
    """What is known of a document: its key once it has one, and what its loader said of it."""

    id: str | None
    metadata: dict[Any, Any]


@dataclass
class _Work:
    """The documents of one file in this run."""

    file: File
    added: int = 0
    updated: int = 0
    skipped: int = 0

    def result(self) -> dict[str, int]:
        return {"added": self.added, "updated": self.updated, "skipped": self.skipped}


class Indexing:
    """One run: which files it has in work, and what became of their documents.

    A file ends once its documents are written and one of another file has come. So the memory is that of a batch,
    and of the names of 100,000 sources where files that are gone are to be found.
    """

    def __init__(
        self, reporter: Reporter, *, source_key: str | None = None, force_update: bool = False, finds_gone: bool = False
    ) -> None:
        self._reporter = reporter
        self._keys = _SOURCE_KEYS if source_key is None else (source_key, *_SOURCE_KEYS)
        self._force_update = force_update
        self._open: dict[str, _Work] = {}
        self._last: str | None = None
        self._taken: Counter[str] = Counter()
        self._batch: list[tuple[str | None, str]] = []
        self._exists: Mapping[str | None, bool] = {}
        self._seen: set[str] | None = set() if finds_gone else None
        self._gone: dict[str, File] = {}
        reporter.update(status="processing", error=None)

    @property
    def finds_gone(self) -> bool:
        """Whether it can tell which files are gone from the documents that are deleted."""
        return self._seen is not None

    def taken(self, document: Document) -> None:
        """A document has come from the source."""
        file = self._file_of(document)
        if file.name not in self._open:
            self._open[file.name] = _Work(file)
            self._reporter.start(file)
            self._reporter.stage(file, "loading")
            self._remember(file.name)
        self._taken[file.name] += 1
        self._last = file.name

    def keyed(self, document: Document) -> None:
        """A document of the batch has got its key; one that is in the batch twice gets none the second time."""
        self._batch.append((document.id, self._file_of(document).name))

    def looked_up(self, keys: Sequence[str], exists: Sequence[bool]) -> None:
        """The record manager was asked which keys exist: what does not is embedded and stored next."""
        self._exists = dict(zip(keys, exists, strict=False))
        for name in dict.fromkeys(name for key, name in self._batch if self._is_written(key)):
            if name in self._open:
                self._reporter.stage(self._open[name].file, "storing")

    def written(self) -> None:
        """The batch is stored, and the record manager knows it."""
        for key, name in self._batch:
            self._taken[name] -= 1
            work = self._open.get(name)
            if work is not None:
                self._count(work, key)
        for name, duplicates in self._taken.items():
            if name in self._open:
                self._open[name].skipped += duplicates
        self._taken.clear()
        self._batch.clear()
        for name in [name for name in self._open if name != self._last]:
            self._end(name)

    def about_to_delete(self, documents: Iterable[Document]) -> None:
        """These documents are still there and will be deleted, since they did not come again."""
        for document in documents:
            file = self._file_of(document)
            if self._seen is not None and file.name not in self._seen and file.name != UNNAMED:
                self._gone[file.name] = file

    def deleted(self) -> None:
        """What was about to be deleted is gone."""
        for file in self._gone.values():
            self._reporter.delete(file)
            self._remember(file.name)  # more documents of it may follow
        self._gone.clear()

    def done(self, result: Mapping[str, int]) -> None:
        """The run is over; ``result`` has the library's own counts."""
        for name in list(self._open):
            self._end(name)
        counts = {f"documents_{key.removeprefix('num_')}": result.get(key, 0) for key in COUNTS}
        self._reporter.update(status="idle", **counts)

    def failed(self, error: BaseException) -> None:
        """The run has failed, and with it each file that it had in work."""
        for work in self._open.values():
            self._reporter.fail(work.file, error)
        self._open.clear()
        self._reporter.update(status="error", error=f"{type(error).__name__}: {error}"[:1000])

    def _file_of(self, document: Document) -> File:
        named = (file_of(document.metadata.get(key)) for key in self._keys)
        return next((file for file in named if file is not None), File(UNNAMED))

    def _is_written(self, key: str | None) -> bool:
        return self._force_update or not self._exists.get(key, False)

    def _count(self, work: _Work, key: str | None) -> None:
        if not self._exists.get(key, False):
            work.added += 1
        elif self._force_update:
            work.updated += 1
        else:
            work.skipped += 1

    def _end(self, name: str) -> None:
        work = self._open.pop(name)
        if work.added or work.updated or not work.skipped:
            self._reporter.complete(work.file, work.result())
        else:
            self._reporter.skip(work.file, f"unchanged: all {work.skipped} documents are indexed already")

    def _remember(self, name: str) -> None:
        if self._seen is not None:
            self._seen.add(name)
            if len(self._seen) > MAX_SOURCES_REMEMBERED:
                self._seen = None
