"""Embedder with a cache, so that a text is not embedded twice in a row."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from rag_pipeline.ingest.types import Embedder, ProgressCallback

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

LIMIT_BYTES = 16 << 20
MODEL_BATCH = 512
_ENTRY_BYTES = 200
"""Approximate memory of a cache entry besides its vector."""
_WAIT_SECONDS = 0.1


class CachingEmbedder:
    """Embeds through another embedder, and caches vectors by text; safe under threads.

    Work on a file may fail after the embedding and start again: the endpoint fails in the middle of a large file, the
    store can't be written, the file is renamed. And two files may have the same text.

    The cache holds up to ``limit_bytes``, and evicts the least recently used vectors. A text that another thread is
    embedding is waited for. Each call of the other embedder gets at most ``batch_size`` texts: if a later call fails,
    the results of the earlier ones are cached.
    """

    def __init__(self, embedder: Embedder, *, batch_size: int, limit_bytes: int = LIMIT_BYTES) -> None:
        self._embedder = embedder
        self._batch_size = batch_size
        self._limit_bytes = limit_bytes
        self._changed = threading.Condition()  # protects the fields below
        self._cache: OrderedDict[bytes, Vectors] = OrderedDict()
        self._cache_bytes = 0
        self._in_progress: set[bytes] = set()

    @property
    def model_id(self) -> str:
        """Name of the model."""
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return self._embedder.dimensions

    def embed(
        self, texts: Sequence[str], *, as_questions: bool = False, on_progress: ProgressCallback | None = None
    ) -> Vectors:
        """Return float32 unit vectors, (len(texts), dimensions); raises what the other embedder raises."""
        import numpy as np

        parts: list[Vectors] = []
        for start in range(0, len(texts), self._batch_size):
            batch = texts[start : start + self._batch_size]
            parts.append(self._embed_batch(batch, as_questions, _part_of(on_progress, start, len(batch), len(texts))))
        return np.concatenate(parts) if parts else self._embedder.embed(texts, on_progress=on_progress)

    def close(self) -> None:
        """Close the other embedder; idempotent."""
        self._embedder.close()

    def _embed_batch(self, texts: Sequence[str], as_questions: bool, on_progress: ProgressCallback) -> Vectors:
        import numpy as np

        keys = [_key(text, as_questions) for text in texts]
        text_by_key = dict(zip(keys, texts, strict=True))
        vectors: dict[bytes, Vectors] = {}
        while len(vectors) < len(text_by_key):
            claimed = self._claim([key for key in text_by_key if key not in vectors], vectors)
            if not claimed:
                on_progress(len(vectors) / len(text_by_key))
                continue
            try:
                embedded = self._embedder.embed(
                    [text_by_key[key] for key in claimed], as_questions=as_questions, on_progress=on_progress
                )
                self._add_to_cache(claimed, embedded)
                vectors.update(zip(claimed, embedded, strict=True))
            finally:
                self._release(claimed)
        on_progress(1.0)
        return np.stack([vectors[key] for key in keys])

    def _claim(self, keys: Sequence[bytes], vectors: dict[bytes, Vectors]) -> list[bytes]:
        """Copy cached vectors to ``vectors``; return the keys that this thread is to embed.

        If other threads are embedding all missing texts, wait a moment and return nothing.
        """
        with self._changed:
            for key in keys:
                if key in self._cache:
                    self._cache.move_to_end(key)
                    vectors[key] = self._cache[key]
            missing = [key for key in keys if key not in vectors]
            claimed = [key for key in missing if key not in self._in_progress]
            self._in_progress.update(claimed)
            if missing and not claimed:
                self._changed.wait(_WAIT_SECONDS)
            return claimed

    def _add_to_cache(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        with self._changed:
            for key, vector in zip(keys, vectors, strict=True):
                self._cache[key] = vector.copy()  # a view would keep the whole batch in memory
                self._cache_bytes += vector.nbytes + _ENTRY_BYTES
            while self._cache_bytes > self._limit_bytes:
                _, evicted = self._cache.popitem(last=False)
                self._cache_bytes -= evicted.nbytes + _ENTRY_BYTES

    def _release(self, keys: Sequence[bytes]) -> None:
        with self._changed:
            self._in_progress.difference_update(keys)
            self._changed.notify_all()


def _key(text: str, is_question: bool) -> bytes:
    """Return the key of a text; some models embed a question and an equal passage differently."""
    person = b"question" if is_question else b""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=person).digest()


def _part_of(on_progress: ProgressCallback | None, start: int, count: int, total: int) -> ProgressCallback:
    """Return a progress callback for one batch, which reports the fraction of all texts."""

    def report(fraction: float) -> None:
        if on_progress is not None:
            on_progress((start + count * fraction) / total)

    return report
