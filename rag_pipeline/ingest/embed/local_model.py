"""The default embedder: a sentence model on tokenizers, safetensors and onnxruntime, without a service or torch."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.sentence_model import load_sentence_model
from rag_pipeline.ingest.embed.session import has_fast_eight_bits
from rag_pipeline.ingest.embedding_options import NO_PREFIXES, Precision, Prefixes
from rag_pipeline.ingest.types import ProgressCallback, Stopped

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

# Sequences in one step: few enough for regular progress.
BATCH = 8
# A longer text is cut; the chunker makes none that is nearly as long.
_MAX_WINDOWS = 64


class LocalEmbedder:
    """Embeds texts with a sentence model, all-MiniLM-L6-v2 by default; vectors of unit length; safe under threads.

    The constructor loads the model, which takes about half a second. Batches of 8 run on ``threads`` threads (default:
    one for each core). A text longer than the model reads is split into windows of that length, whose vectors are
    averaged by length, so no part of a chunk is ignored.
    """

    def __init__(
        self,
        model_dir: str | Path | None = None,
        *,
        threads: int | None = None,
        precision: Precision = Precision.AUTO,
        prefixes: Prefixes = NO_PREFIXES,
        stop: threading.Event | None = None,
    ) -> None:
        """Load the installed model, or the one in ``model_dir``; raises EmbeddingError with the install command."""
        eight_bits = precision is Precision.INT8 or (
            precision is Precision.AUTO and model_dir is None and has_fast_eight_bits()
        )
        self._model = load_sentence_model(model_dir, eight_bits=eight_bits, prefixes=prefixes)
        self._stop = stop
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")

    @property
    def model_id(self) -> str:
        """Name of the model, the same in every folder and precision; a mix of both costs no quality."""
        return self._model.model_id

    @property
    def dimensions(self) -> int:
        """Length of each vector: 384 for the default model."""
        return self._model.encoder.dimensions

    def embed(
        self, texts: Sequence[str], *, as_questions: bool = False, on_progress: ProgressCallback | None = None
    ) -> Vectors:
        """Return float32 unit vectors, (len(texts), dimensions); raises EmbeddingError, or Stopped between batches.

        The vector of a question whose words the model does not know is zero: it would be near to other unknown texts.
        """
        import numpy as np

        prefix = self._model.question_prefix if as_questions else self._model.passage_prefix
        windows, owners = self._windows(texts, prefix)
        out = np.zeros((len(texts), self.dimensions), np.float32)
        # Longest first: the last batches are short, so no thread waits long.
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i]))
        batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        done, total = 0, sum(len(window) + 2 for window in windows)
        for batch, vectors in self._run(windows, batches):
            for i, vector in zip(batch, vectors, strict=True):
                length = len(windows[i]) + 2
                out[owners[i]] += vector * np.float32(length / np.linalg.norm(vector))
                done += length
            if on_progress is not None:
                on_progress(done / total)
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths)):
            raise EmbeddingError(
                f"{self.model_id}: the model returns numbers that are not finite: its weights are damaged"
            )
        out /= lengths
        if as_questions:
            out[[not self._model.knows(_encodable(text)) for text in texts]] = 0
        return out

    def close(self) -> None:
        """End the worker threads; idempotent."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _windows(self, texts: Sequence[str], prefix: str) -> tuple[list[list[int]], list[int]]:
        """Return the token ids of each window, without special tokens, and the index of its text."""
        size = self._model.max_tokens - 2
        windows: list[list[int]] = []
        owners: list[int] = []
        for start in range(0, len(texts), 256):
            self._check_stop()
            part = [_encodable(prefix + text) for text in texts[start : start + 256]]
            for owner, encoding in enumerate(
                self._model.tokenizer.encode_batch_fast(part, add_special_tokens=False), start
            ):
                ids = encoding.ids
                for at in range(0, max(1, min(len(ids), _MAX_WINDOWS * size)), size):
                    windows.append(ids[at : at + size])
                    owners.append(owner)
        return windows, owners

    def _run(self, windows: list[list[int]], batches: list[list[int]]) -> Iterator[tuple[list[int], list[Vectors]]]:
        """Yield each batch with its vectors, in order, at most one batch per thread ahead of the caller."""
        pending: deque[tuple[list[int], Future[list[Vectors]]]] = deque()
        try:
            for batch in batches:
                self._check_stop()
                pending.append((batch, self._submit([windows[i] for i in batch])))
                if len(pending) > self._threads:
                    head, future = pending.popleft()
                    yield head, future.result()
            while pending:
                self._check_stop()
                head, future = pending.popleft()
                yield head, future.result()
        finally:
            for _, future in pending:
                future.cancel()

    def _submit(self, sequences: list[list[int]]) -> Future[list[Vectors]]:
        try:
            return self._pool.submit(self._encode, sequences)
        except RuntimeError as error:
            raise EmbeddingError(f"{self.model_id}: the embedder is closed") from error

    def _encode(self, sequences: list[list[int]]) -> list[Vectors]:
        return [self._model.vector(ids) for ids in sequences]

    def _check_stop(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped


def _encodable(text: str) -> str:
    """Replace lone surrogates, which tokenizers reject, by a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
