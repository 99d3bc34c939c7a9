"""The records that pass between the steps of ingestion: extract → chunk → embed → store → search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

ProgressCallback = Callable[[float], None]
"""Called with the fraction done, 0..1; may raise to stop the work (:class:`Stopped`)."""


class Stopped(Exception):  # noqa: N818 - not an error: the run was asked to stop
    """Raised by a progress callback, or by a step whose stop event is set: put the file back and leave."""


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive text of a document, with a locator such as ``page 3`` or ``sheet Budget``.

    ``locator`` is the empty string for formats without locators.
    """

    text: str
    locator: str


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """What extraction gives: text in reading order, and the MIME type that was recognised."""

    sections: tuple[Section, ...]
    mime_type: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document to embed: its text, its locator, and its index within the file, from 0."""

    text: str
    locator: str
    index: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as the store knows it.

    ``file_id`` is stable over changes of content (local_files: the path relative to the watched folder, POSIX
    separators); ``content_hash`` changes with the content; ``uri`` says where the file is for a reader.
    """

    file_id: str
    name: str
    uri: str
    content_hash: str
    size: int
    mime_type: str | None
    modified_at: float


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One answer: the chunk's text, the file and place it stands at, and a score (higher is better)."""

    text: str
    file_id: str
    name: str
    uri: str
    place: str
    score: float


@dataclass(frozen=True, slots=True)
class StoredPipeline:
    """The files that a store holds of one pipeline, and the chunks that they show.

    A chunk that two files show, as copies do, counts twice: a search finds it in each.
    ``changed_at`` is when the newest of them was written, in seconds since 1970; None if the store does not keep it.
    ``held_by`` names the running process that has the pipeline's lease; None if the store knows of none.
    """

    files: int
    chunks: int
    changed_at: float | None = None
    held_by: str | None = None


class StoreFaultKind(StrEnum):
    """What can be wrong with the rows of one file.

    CHUNKS_WITHOUT_FILE: chunks that no file shows, under the file they were stored with.
    REPLACED_ROWS: rows of a file, without its chunks, that a newer row of it, or of the file it was moved to, replaced.
    SEVERAL_ROWS: rows of a file of which none is known to be the newest.
    MISSING_CHUNKS, WRONG_VECTORS: of the chunks that the file shows.
    """

    CHUNKS_WITHOUT_FILE = "chunks without a file"
    REPLACED_ROWS = "replaced rows"
    SEVERAL_ROWS = "several rows"
    MISSING_CHUNKS = "missing chunks"
    WRONG_VECTORS = "wrong vectors"


@dataclass(frozen=True, slots=True)
class StoreFault:
    """Rows of one file that should not be as they are; ``count`` is the number of rows concerned."""

    pipeline_id: str
    file_id: str
    kind: StoreFaultKind
    count: int


class Extractor(Protocol):
    """Turns one file into text within bounds; safe to call from several threads."""

    def extract(
        self, path: str, *, on_progress: ProgressCallback | None = None, descriptor: int | None = None
    ) -> ExtractedDocument:
        """Return the file's text; with ``descriptor`` of that open file, which ``path`` names.

        Raises an :class:`~rag_pipeline.errors.ExtractionError` that says why not.
        """
        ...

    def close(self) -> None:
        """End what the extractor started; idempotent."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors; safe to call from several threads."""

    @property
    def model_id(self) -> str:
        """Name of the model and its version: vectors of different ids must not be mixed."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    def embed(self, texts: Sequence[str], *, on_progress: ProgressCallback | None = None) -> Vectors:
        """Return float32 of shape (len(texts), dimensions), rows of unit length; raises EmbeddingError."""
        ...

    def close(self) -> None:
        """Give back connections and memory; idempotent."""
        ...


class VectorStore(Protocol):
    """Holds the chunks of every file, searchable by words and by meaning; safe to call from several threads."""

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[tuple[Sequence[Chunk], Vectors]]) -> None:
        """Make these the file's only chunks: after a crash the store holds the old ones or the new ones, once.

        Batches are pulled one by one while nothing in the store is held, and none is kept in memory. One commit at the
        end makes all of them visible. What pulling raises passes as it is, and the old chunks stay.
        """
        ...

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Give a stored file another name and address, its chunks left as they are; no error if it isn't stored."""
        ...

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        """Make a stored file the one that is given, with its chunks as they are; return whether it was stored.

        It is one commit: a search finds the file at every moment, and once. A file stored under the new id is
        replaced.
        """
        ...

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        """Move files, all at the same moment, and return the chunks of each that was stored, by old id.

        ``moves`` has the new files by old id. A new id may be the old id of another file that moves.
        """
        ...

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        """Store a file with the chunks and vectors of a stored one; return their number.

        Returns None, with nothing changed, if the other file is not stored.
        """
        ...

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        """Copy files, each given as the stored file's id and the new file; return the chunks of each, by new id."""
        ...

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file's chunks; no error if there are none."""
        ...

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        """Remove the chunks of many files in few commits; no error for files that are not stored."""
        ...

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        """Return one stored file; None if it isn't stored."""
        ...

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the files whose chunks are stored, by file_id."""
        ...

    def search(self, question: str, vector: Vectors, *, limit: int = 5) -> list[SearchHit]:
        """Return the best chunks for the question, by words and by meaning, best first; ``vector`` is 1-D."""
        ...

    def close(self) -> None:
        """Flush and release; idempotent."""
        ...


class StoreUpkeep(VectorStore, Protocol):
    """A vector store that can be looked through and put in order."""

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return what is stored of each pipeline, by pipeline id."""
        ...

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline; no error if there are none."""
        ...

    def faults(self) -> list[StoreFault]:
        """Return the rows that no write leaves in the end, in the order of pipelines and files; writes nothing."""
        ...

    def tidy(self) -> None:
        """Remove leftovers, and give back the space of rows and versions that are no longer used."""
        ...
