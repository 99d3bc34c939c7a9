"""Small stages in memory: they follow the protocols of the real ones, and can be told to stall or fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from rag_pipeline.errors import CorruptFileError, EmptyFileError, StateError, StoreError, UnsupportedFileTypeError
from rag_pipeline.ingest.types import Chunk, Document, Progress, SearchHit, Section, SourceFile, Stopped
from rag_pipeline.pipelines.ingestion import Parts

DIMENSIONS = 8
BATCH = 10


class TextExtractor:
    """Reads UTF-8 text; a file that begins with ``corrupt`` or ``unsupported`` is refused, an empty one too."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.hold = threading.Event()
        self.holding = threading.Event()
        self.closed = threading.Event()
        self.before: Callable[[], object] = lambda: None
        self.hold.set()

    def extract(self, path: str, *, on_progress: Progress | None = None, descriptor: int | None = None) -> Document:
        self.before()
        self.read.append(Path(path).name)
        text = Path(path).read_text("utf-8", "replace")
        while not self.hold.wait(0.02):
            self.holding.set()
            if self.closed.is_set():
                raise Stopped
            if on_progress is not None:
                on_progress(0.5)
        if not text.strip():
            raise EmptyFileError(f"{Path(path).name} is empty")
        if text.startswith("unsupported"):
            raise UnsupportedFileTypeError(f"{Path(path).name} is of an unknown type")
        if text.startswith("corrupt"):
            raise CorruptFileError(f"{Path(path).name} is damaged")
        if on_progress is not None:
            on_progress(1.0)
        return Document((Section(text, ""),), "text/plain")

    def close(self) -> None:
        self.closed.set()


class LineChunker:
    """A chunk for each line."""

    def chunks(self, document: Document, *, on_progress: Progress | None = None) -> Iterator[Chunk]:
        lines = [line for section in document.sections for line in section.text.splitlines() if line.strip()]
        for index, line in enumerate(lines):
            yield Chunk(line, "", index)
            if on_progress is not None:
                on_progress((index + 1) / len(lines))


class HashEmbedder:
    """Vectors from hashes; ``error`` is raised while it is set, and ``before`` is called first."""

    model_id = "hash"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.before: Callable[[], object] = lambda: None
        self.embedded = 0
        self.batches = 0

    def embed(self, texts: Sequence[str], *, on_progress: Progress | None = None) -> Any:
        self.before()
        if self.error is not None:
            raise self.error
        self.embedded += len(texts)
        for start in range(0, len(texts), BATCH):
            self.batches += 1
            if on_progress is not None:
                on_progress(min(1.0, (start + BATCH) / len(texts)))
        rows = [np.frombuffer(blake2b(t.encode(), digest_size=DIMENSIONS).digest(), np.uint8) + 1.0 for t in texts]
        vectors = np.stack(rows).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def close(self) -> None:
        """Nothing to give back."""


class MemoryStore:
    """Files and chunks by pipeline and id; ``writes`` counts replacements by id, ``error`` is raised while set."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[SourceFile, list[str]]] = {}
        self.writes: dict[str, int] = {}
        self.error: StoreError | StateError | None = None
        self._lock = threading.Lock()  # protects ``kept``

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[tuple[Sequence[Chunk], Any]]) -> None:
        chunks: list[Chunk] = []
        for some, vectors in batches:
            assert vectors.shape == (len(some), DIMENSIONS)
            chunks += some
        self._check()
        self.writes[file.file_id] = self.writes.get(file.file_id, 0) + 1
        with self._lock:
            self.kept[pipeline_id, file.file_id] = (file, [chunk.text for chunk in chunks])

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        self._check()
        with self._lock:
            if kept := self.kept.get((pipeline_id, file_id)):
                self.kept[pipeline_id, file_id] = (replace(kept[0], name=name, uri=uri), kept[1])

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        return old_file_id in self.move_many(pipeline_id, {old_file_id: file})

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        self._check()
        with self._lock:
            kept = dict(self.kept)
            texts = {old: kept.pop((pipeline_id, old))[1] for old in moves if (pipeline_id, old) in kept}
            for old, text in texts.items():
                kept[pipeline_id, moves[old].file_id] = (moves[old], text)
            self.kept = kept  # at once: a reader sees all of it or nothing
        return {old: len(text) for old, text in texts.items()}

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        return self.copy_many(pipeline_id, [(from_file_id, file)]).get(file.file_id)

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        self._check()
        counts = {}
        with self._lock:
            before = dict(self.kept)
            for from_id, file in copies:
                if kept := before.get((pipeline_id, from_id)):
                    self.kept[pipeline_id, file.file_id] = (file, list(kept[1]))
                    counts[file.file_id] = len(kept[1])
        return counts

    def delete(self, pipeline_id: str, file_id: str) -> None:
        self.delete_many(pipeline_id, [file_id])

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        self._check()
        with self._lock:
            for file_id in file_ids:
                self.kept.pop((pipeline_id, file_id), None)

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        kept = self.kept.get((pipeline_id, file_id))
        return None if kept is None else kept[0]

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        return {file_id: file for (scope, file_id), (file, _) in list(self.kept.items()) if scope == pipeline_id}

    def texts(self, pipeline_id: str = "scope") -> dict[str, list[str]]:
        """Return the chunks' texts by file id."""
        return {file_id: texts for (scope, file_id), (_, texts) in list(self.kept.items()) if scope == pipeline_id}

    def search(self, question: str, vector: Any, *, limit: int = 5) -> list[SearchHit]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to release."""

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


class TestParts:
    """The stages in memory, each at hand, and together as :class:`Parts`."""

    __test__ = False

    def __init__(self, store: MemoryStore | None = None, *, recipe: str = "r1", limit: int = 1 << 20) -> None:
        self.extractor = TextExtractor()
        self.embedder = HashEmbedder()
        self.store = MemoryStore() if store is None else store
        self.parts = Parts(self.extractor, LineChunker(), self.embedder, self.store, recipe, limit)
