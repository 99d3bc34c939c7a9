"""Derives the status of files from the calls that LangChain's indexing makes during one run.

For each batch LangChain takes documents from the source, computes the key and source of each, asks the record manager
which keys exist, writes the others to the vector store, and then updates the record manager.
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


class LangChainDocument(Protocol):
    """The attributes of a LangChain document that are used: its key once it has one, and its metadata."""

    id: str | None
    metadata: dict[Any, Any]


@dataclass
class _FileCounts:
    """Numbers of documents of one file in this run."""

    file: File
    added: int = 0
    updated: int = 0
    skipped: int = 0

    def result(self) -> dict[str, int]:
        return {"added": self.added, "updated": self.updated, "skipped": self.skipped}


class IndexingRun:
    """One run: its files in flight, and the outcomes of their documents.

    A file ends once its documents are written and a document of another file has come. So memory holds one batch, and
    with ``finds_gone`` the names of up to 100,000 sources.
    """

    def __init__(
        self, reporter: Reporter, *, source_key: str | None = None, force_update: bool = False, finds_gone: bool = False
    ) -> None:
        self._reporter = reporter
        self._keys = _SOURCE_KEYS if source_key is None else (source_key, *_SOURCE_KEYS)
        self._force_update = force_update
        self._open: dict[str, _FileCounts] = {}
        self._last: str | None = None
        self._taken: Counter[str] = Counter()
        self._batch: list[tuple[str | None, str]] = []
        self._exists: Mapping[str | None, bool] = {}
        self._seen: set[str] | None = set() if finds_gone else None
        self._gone: dict[str, File] = {}
        reporter.update(status="processing", error=None)

    @property
    def finds_gone(self) -> bool:
        """Whether deleted documents show which files are gone."""
        return self._seen is not None

    def taken(self, document: LangChainDocument) -> None:
        """Record that LangChain took a document from the source."""
        file = self._file_of(document)
        if file.name not in self._open:
            self._open[file.name] = _FileCounts(file)
            self._reporter.start(file)
            self._reporter.stage(file, "loading")
            self._remember(file.name)
        self._taken[file.name] += 1
        self._last = file.name

    def keyed(self, document: LangChainDocument) -> None:
        """Record that a document of the batch got its key; a duplicate within the batch gets none."""
        self._batch.append((document.id, self._file_of(document).name))

    def looked_up(self, keys: Sequence[str], exists: Sequence[bool]) -> None:
        """Record which keys exist; LangChain embeds and stores the others next."""
        self._exists = dict(zip(keys, exists, strict=False))
        for name in dict.fromkeys(name for key, name in self._batch if self._is_written(key)):
            if name in self._open:
                self._reporter.stage(self._open[name].file, "storing")

    def written(self) -> None:
        """Record that the batch is stored."""
        for key, name in self._batch:
            self._taken[name] -= 1
            counts = self._open.get(name)
            if counts is not None:
                self._count(counts, key)
        for name, duplicates in self._taken.items():
            if name in self._open:
                self._open[name].skipped += duplicates
        self._taken.clear()
        self._batch.clear()
        for name in [name for name in self._open if name != self._last]:
            self._end(name)

    def about_to_delete(self, documents: Iterable[LangChainDocument]) -> None:
        """Record documents that LangChain will delete, because the source no longer has them."""
        for document in documents:
            file = self._file_of(document)
            if self._seen is not None and file.name not in self._seen and file.name != UNNAMED:
                self._gone[file.name] = file

    def deleted(self) -> None:
        """Record that the documents of :meth:`about_to_delete` are deleted."""
        for file in self._gone.values():
            self._reporter.delete(file)
            self._remember(file.name)  # more of its documents may follow
        self._gone.clear()

    def done(self, result: Mapping[str, int]) -> None:
        """End the run; ``result`` has LangChain's own counts."""
        for name in list(self._open):
            self._end(name)
        totals = {f"documents_{key.removeprefix('num_')}": result.get(key, 0) for key in COUNTS}
        self._reporter.update(status="idle", **totals)

    def failed(self, error: BaseException) -> None:
        """Fail the run, and every file in flight."""
        for counts in self._open.values():
            self._reporter.fail(counts.file, error)
        self._open.clear()
        self._reporter.update(status="error", error=f"{type(error).__name__}: {error}"[:1000])

    def _file_of(self, document: LangChainDocument) -> File:
        named = (file_of(document.metadata.get(key)) for key in self._keys)
        return next((file for file in named if file is not None), File(UNNAMED))

    def _is_written(self, key: str | None) -> bool:
        return self._force_update or not self._exists.get(key, False)

    def _count(self, counts: _FileCounts, key: str | None) -> None:
        if not self._exists.get(key, False):
            counts.added += 1
        elif self._force_update:
            counts.updated += 1
        else:
            counts.skipped += 1

    def _end(self, name: str) -> None:
        counts = self._open.pop(name)
        if counts.added or counts.updated or not counts.skipped:
            self._reporter.complete(counts.file, counts.result())
        else:
            self._reporter.skip(counts.file, f"unchanged: all {counts.skipped} documents are indexed already")

    def _remember(self, name: str) -> None:
        if self._seen is not None:
            self._seen.add(name)
            if len(self._seen) > MAX_SOURCES_REMEMBERED:
                self._seen = None
