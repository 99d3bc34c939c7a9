"""Buffers the chunks of one file on their way into a store, on disk beyond the first few hundred."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from rag_pipeline.common.private_files import make_private_folder
from rag_pipeline.ingest.types import Chunk

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

CHUNKS_AT_ONCE = 500
"""The most chunks in memory: in one batch, and before the first write to disk."""

ChunkBatch = tuple[Sequence[Chunk], "Vectors"]


def check_batch(chunks: Sequence[Chunk], vectors: Vectors, dimensions: int) -> Vectors:
    """Return the vectors as contiguous float32; raises ValueError unless there is a finite vector for each chunk."""
    import numpy as np

    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.size != len(chunks) * dimensions or not np.all(np.isfinite(vectors)):
        raise ValueError(f"vectors: expected {len(chunks)} finite rows of {dimensions}")
    return vectors.reshape(-1, dimensions)


class ChunkBuffer:
    """Batches of chunks that can be iterated repeatedly; a context manager, not safe under threads.

    The file on disk has no name, so nothing remains of it when the process ends, however it ends.
    """

    def __init__(self, folder: Path | None) -> None:
        """Write to ``folder``, created if missing, or to the system's temporary folder if it is None."""
        self._folder = folder
        self._in_memory: list[ChunkBatch] = []
        self._count_in_memory = 0
        self._file: IO[bytes] | None = None

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Append chunks with their vectors; raises OSError if the disk can't be written."""
        for start in range(0, len(chunks), CHUNKS_AT_ONCE):
            part = slice(start, start + CHUNKS_AT_ONCE)
            self._in_memory.append((chunks[part], vectors[part]))
            self._count_in_memory += len(chunks[part])
            if self._count_in_memory > CHUNKS_AT_ONCE:
                self._spill()

    @property
    def is_small(self) -> bool:
        """Whether all chunks are in memory."""
        return self._file is None

    def __iter__(self) -> Iterator[ChunkBatch]:
        if self._file is not None:
            self._spill()
            self._file.seek(0)
            with suppress(EOFError):
                while True:
                    yield pickle.load(self._file)
        yield from self._in_memory

    def close(self) -> None:
        """Remove the file; idempotent."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spill(self) -> None:
        """Move the chunks in memory to disk."""
        if self._file is None:
            if self._folder is not None:
                make_private_folder(self._folder)
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close()
        for batch in self._in_memory:
            pickle.dump(batch, self._file, pickle.HIGHEST_PROTOCOL)
        self._file.flush()
        self._in_memory, self._count_in_memory = [], 0
