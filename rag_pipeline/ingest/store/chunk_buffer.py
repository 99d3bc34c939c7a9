"""The chunks of one file on their way into a store: on disk beyond the first few hundred."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from rag_pipeline.common.private_files import make_private_folder
from rag_pipeline.ingest.types import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

CHUNKS_AT_ONCE = 500
"""As many chunks are in memory: in a batch that is read back, and before the first goes to disk."""

ChunkBatch = tuple[Sequence[Chunk], "Vectors"]


def check_batch(chunks: Sequence[Chunk], vectors: Vectors, dimensions: int) -> Vectors:
    """Return the vectors as a store takes them; raises ValueError unless there is a finite one for each chunk."""
    import numpy as np

    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.size != len(chunks) * dimensions or not np.all(np.isfinite(vectors)):
        raise ValueError(f"vectors: expected {len(chunks)} finite rows of {dimensions}")
    return vectors.reshape(-1, dimensions)


class ChunkBuffer:
    """Batches of chunks, read back as often as needed; not safe under threads.

    The file has no name, so nothing is left of it when the process ends, however that happens. A context manager.
    """

    def __init__(self, folder: Path | None) -> None:
        """Write to ``folder`` when it comes to that, which is made if it is missing; None is the system's own."""
        self._folder = folder
        self._kept: list[ChunkBatch] = []
        self._kept_count = 0
        self._file: IO[bytes] | None = None

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Append chunks with their vectors; raises OSError if the disk doesn't take them."""
        for start in range(0, len(chunks), CHUNKS_AT_ONCE):
            part = slice(start, start + CHUNKS_AT_ONCE)
            self._kept.append((chunks[part], vectors[part]))
            self._kept_count += len(chunks[part])
            if self._kept_count > CHUNKS_AT_ONCE:
                self._spill()

    @property
    def is_small(self) -> bool:
        """Whether all of it is in memory."""
        return self._file is None

    def __iter__(self) -> Iterator[ChunkBatch]:
        if self._file is not None:
            self._spill()
            self._file.seek(0)
            with suppress(EOFError):
                while True:
                    yield pickle.load(self._file)
        yield from self._kept

    def close(self) -> None:
        """Remove the file; idempotent."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> ChunkBuffer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spill(self) -> None:
        if self._file is None:
            if self._folder is not None:
                make_private_folder(self._folder)
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close()
        for batch in self._kept:
            pickle.dump(batch, self._file, pickle.HIGHEST_PROTOCOL)
        self._file.flush()
        self._kept, self._kept_count = [], 0
