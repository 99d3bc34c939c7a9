"""An embedder that remembers what it has just embedded, so that a text is not embedded twice in a row."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from rag_pipeline.ingest.types import Embedder, ProgressCallback

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

LIMIT_BYTES = 16 << 20
MODEL_BATCH = 512
_ENTRY_BYTES = 200
"""What an entry takes beside its vector, more or less."""
_WAIT_SECONDS = 0.1


class CachingEmbedder:
    """Embeds through another embedder; safe under threads.

    Work on a file may end after the embedding and begin anew: the endpoint fails in the middle of a large file, the
    store can't be written, the file is renamed. Two files may have the same text. So vectors are remembered by text, up
    to ``limit_bytes``, those used last the longest, and a text that another thread embeds at the moment is waited for.
    ``at_once`` texts are handed on in one call: what an error in a later call leaves is remembered.
    """

    def __init__(self, embedder: Embedder, *, at_once: int, limit_bytes: int = LIMIT_BYTES) -> None:
        self._embedder = embedder
        self._at_once = at_once
        self._limit_bytes = limit_bytes
        self._changed = threading.Condition()  # protects the fields below
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._bytes = 0
        self._under_way: set[bytes] = set()

    @property
    def model_id(self) -> str:
        """Name of the model."""
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str], *, on_progress: ProgressCallback | None = None) -> Vector:
        """Return float32 unit vectors, (len(texts), dimensions); raises what the other embedder does."""
        import numpy as np

        parts: list[Vector] = []
        for start in range(0, len(texts), self._at_once):
            some = texts[start : start + self._at_once]
            parts.append(self._embed(some, _part_of(on_progress, start, len(some), len(texts))))
        return np.concatenate(parts) if parts else self._embedder.embed(texts, on_progress=on_progress)

    def close(self) -> None:
        """Close the other embedder; idempotent."""
        self._embedder.close()

    def _embed(self, texts: Sequence[str], on_progress: ProgressCallback) -> Vector:
        import numpy as np

        keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found: dict[bytes, Vector] = {}
        while len(found) < len(wanted):
            mine = self._claim([key for key in wanted if key not in found], found)
            if not mine:
                on_progress(len(found) / len(wanted))
                continue
            try:
                made = self._embedder.embed([wanted[key] for key in mine], on_progress=on_progress)
                self._remember(mine, made)
                found.update(zip(mine, made, strict=True))
            finally:
                self._release(mine)
        on_progress(1.0)
        return np.stack([found[key] for key in keys])

    def _claim(self, keys: Sequence[bytes], found: dict[bytes, Vector]) -> list[bytes]:
        """Take what is remembered, and return the keys to embed; wait a moment if other threads embed all of them."""
        with self._changed:
            for key in keys:
                if key in self._vectors:
                    self._vectors.move_to_end(key)
                    found[key] = self._vectors[key]
            missing = [key for key in keys if key not in found]
            mine = [key for key in missing if key not in self._under_way]
            self._under_way.update(mine)
            if missing and not mine:
                self._changed.wait(_WAIT_SECONDS)
            return mine

    def _remember(self, keys: Sequence[bytes], vectors: Vector) -> None:
        with self._changed:
            for key, vector in zip(keys, vectors, strict=True):
                self._vectors[key] = vector.copy()  # a row would keep the whole batch in memory
                self._bytes += vector.nbytes + _ENTRY_BYTES
            while self._bytes > self._limit_bytes:
                _, oldest = self._vectors.popitem(last=False)
                self._bytes -= oldest.nbytes + _ENTRY_BYTES

    def _release(self, keys: Sequence[bytes]) -> None:
        with self._changed:
            self._under_way.difference_update(keys)
            self._changed.notify_all()


def _part_of(on_progress: ProgressCallback | None, start: int, count: int, total: int) -> ProgressCallback:
    """Return a callback for one part, which tells the fraction of all."""

    def tell(fraction: float) -> None:
        if on_progress is not None:
            on_progress((start + count * fraction) / total)

    return tell
