"""The records and protocols shared by the steps of ingestion: extract → chunk → embed → store → search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

ProgressCallback = Callable[[float], None]
"""Receives the fraction done, 0..1. It may raise :class:`Stopped` to stop the work."""


class Stopped(Exception):  # noqa: N818 - not an error: the run was asked to stop
    """Raised by a progress callback, or by a step whose stop event is set. The file is to be read again later."""


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive text of a document, with a locator such as ``page 3`` or ``sheet Budget``.

    ``locator`` is the empty string for formats without locators.
    """

    text: str
    locator: str

    @property
    def place(self) -> str:
        """The locator, under the name that search results give it."""
        return self.locator


@dataclass(frozen=True, slots=True)
class TextWarning:
    """A fault of a file's text that did not stop the reading, such as pages without text.

    ``type`` is a short fixed word in snake_case, ``message`` a sentence for people, ``count`` the number of cases.
    """

    type: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class TextQuality:
    """Figures about a file's text.

    pages, pages_without_text: of the pages that were read; None for formats without pages.
    characters: length of the text.
    odd_characters: share of the characters that are not readable text, such as U+FFFD and private-use ones, 0..1.
    """

    characters: int = 0
    odd_characters: float = 0.0
    pages: int | None = None
    pages_without_text: int | None = None


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """The text of a file, in reading order, and the MIME type that was recognised.

    ``metadata`` holds what the file says about itself, such as ``title``; ``warnings`` holds at most 20. ``name`` is
    the file's name, or empty if the text should not be found by it.
    """

    sections: tuple[Section, ...]
    mime_type: str
    warnings: tuple[TextWarning, ...] = ()
    quality: TextQuality = TextQuality()
    metadata: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document to embed: its text, its locator, and its index within the file, from 0.

    ``title`` and ``headings`` say what the text is about; they are searched with it, and are not part of the text.
    ``embedded_text`` is what the model reads.
    """

    text: str
    locator: str
    index: int
    title: str = ""
    headings: str = ""
    name: str = ""

    @property
    def embedded_text(self) -> str:
        """The text under a line with the file's name, title and headings."""
        head = " › ".join(filter(None, (self.name, self.title, self.headings)))
        return f"{head}\n{self.text}" if head else self.text

    @property
    def indexed_text(self) -> str:
        """The text whose terms are indexed. A store finds files by their current name in another way."""
        return "\n".join(filter(None, (self.title, self.headings, self.text)))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it is stored.

    ``file_id`` does not change with the content (local_files: the path relative to the watched folder, POSIX
    separators); ``content_hash`` does. ``uri`` tells users where the file is.
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
    """One search result: the chunk's text and file, its locator as ``place``, and a score (higher is better).

    score: 0..1; 1 is first by words and by vector.
    words: BM25 score of the question's words in the text, its title and headings and the file's name; 0 for no word.
    vector: cosine of question and text, -1..1.

    ``rag-pipeline search --json`` prints these fields.
    """

    text: str
    file_id: str
    name: str
    uri: str
    place: str
    score: float
    words: float = 0.0
    vector: float = 0.0
    pipeline_id: str = ""
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Restricts a search to some files; None allows all.

    pipelines: ids, as the store has them.
    path: pattern for a file's id or name, in which ``*`` stands for any characters and ``?`` for one; without a slash
        also for its name without folders.
    type: a MIME type such as ``application/pdf`` or ``text/*``, a file extension such as ``pdf``, or a kind such as
        ``markdown`` or ``word``.
    """

    pipelines: frozenset[str] | None = None
    path: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class SearchFloor:
    """The lowest scores of a result: one of the two must be reached."""

    words: float = 0.0
    vector: float = -1.0


EVERY_FILE = SearchFilter()
NO_FLOOR = SearchFloor()


@dataclass(frozen=True, slots=True)
class StoredPipeline:
    """The number of files and chunks that a store holds for one pipeline.

    A chunk that copies of a file share counts once per file, as a search finds it in each. ``changed_at`` is the time
    of the last write, in seconds since 1970; None if the store does not keep it. ``held_by`` names the running process
    that holds the pipeline's lease; None if the store knows of none.
    """

    files: int
    chunks: int
    changed_at: float | None = None
    held_by: str | None = None


class StoreFaultKind(StrEnum):
    """The kinds of inconsistency among the rows of one file.

    CHUNKS_WITHOUT_FILE: chunks that no file refers to, reported under the file they were stored with.
    REPLACED_ROWS: outdated file rows, replaced by a newer row of the file or of the file it was moved to.
    SEVERAL_ROWS: several rows for a file, none of them known to be the newest.
    MISSING_CHUNKS: the file refers to chunks that are not stored.
    WRONG_VECTORS: vectors of the file's chunks are invalid.
    """

    CHUNKS_WITHOUT_FILE = "chunks without a file"
    REPLACED_ROWS = "replaced rows"
    SEVERAL_ROWS = "several rows"
    MISSING_CHUNKS = "missing chunks"
    WRONG_VECTORS = "wrong vectors"


@dataclass(frozen=True, slots=True)
class StoreFault:
    """An inconsistency among the rows of one file; ``count`` is the number of affected rows."""

    pipeline_id: str
    file_id: str
    kind: StoreFaultKind
    count: int


class Extractor(Protocol):
    """Reads the text of a file within limits; thread-safe."""

    def extract(
        self, path: str, *, on_progress: ProgressCallback | None = None, descriptor: int | None = None
    ) -> ExtractedDocument:
        """Return the file's text. If ``descriptor`` is given, read that open file; ``path`` then only names it.

        Raises an :class:`~rag_pipeline.errors.ExtractionError` that gives the reason.
        """
        ...

    def close(self) -> None:
        """Stop the extractor's processes; idempotent."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors; thread-safe."""

    @property
    def model_id(self) -> str:
        """Name and version of the model; vectors of different ids must not be mixed."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    def embed(
        self, texts: Sequence[str], *, as_questions: bool = False, on_progress: ProgressCallback | None = None
    ) -> Vectors:
        """Return float32 of shape (len(texts), dimensions), rows of unit length; raises EmbeddingError.

        Some models embed questions and passages differently. The vector of a question is zero if the model does not
        know its words.
        """
        ...

    def close(self) -> None:
        """Release connections and memory; idempotent."""
        ...


class VectorStore(Protocol):
    """Stores the chunks of every file, for search by words and by vector; thread-safe."""

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[tuple[Sequence[Chunk], Vectors]]) -> None:
        """Replace all chunks of the file, atomically: after a crash the store holds the old chunks or the new ones.

        Batches are pulled one by one, without holding a lock of the store, and none is kept in memory. One commit at
        the end makes all of them visible. If pulling raises, the exception propagates and the old chunks stay.
        """
        ...

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Change the name and URI of a stored file; its chunks stay. No error if it is not stored."""
        ...

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        """Replace a stored file's record with ``file``, keeping its chunks; return whether it was stored.

        This is one commit: a search finds the file at every moment, exactly once. A file already stored under the new
        id is replaced.
        """
        ...

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        """Move files in one commit; return the number of chunks of each stored one, by old id.

        ``moves`` maps old ids to new files. A new id may be the old id of another moved file.
        """
        ...

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        """Store a file with the chunks and vectors of another stored file; return their number.

        Returns None, and changes nothing, if the other file is not stored.
        """
        ...

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        """Copy files, given as pairs of stored id and new file; return the number of chunks of each, by new id."""
        ...

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file's chunks; no error if there are none."""
        ...

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        """Remove the chunks of many files, in few commits; no error for files that are not stored."""
        ...

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        """Return the stored file, or None."""
        ...

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the stored files, by file_id."""
        ...

    def search(
        self,
        question: str,
        vector: Vectors,
        *,
        limit: int = 5,
        only: SearchFilter = EVERY_FILE,
        floor: SearchFloor = NO_FLOOR,
    ) -> list[SearchHit]:
        """Return the best chunks by words and by vector, best first; ``vector`` is 1-D."""
        ...

    def close(self) -> None:
        """Flush and release resources; idempotent."""
        ...


class MaintainableStore(VectorStore, Protocol):
    """A vector store with operations for inspection and maintenance."""

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return the size of each stored pipeline, by pipeline id."""
        ...

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline; no error if there are none."""
        ...

    def faults(self) -> list[StoreFault]:
        """Return the inconsistencies, sorted by pipeline and file; read-only."""
        ...

    def tidy(self) -> None:
        """Remove leftovers, and free the space of unused rows and versions."""
        ...
