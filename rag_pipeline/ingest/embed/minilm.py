"""The default embedder: all-MiniLM-L6-v2 on tokenizers, safetensors and numpy, without a service or torch."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.model_files import find_model, read_config, read_tokenizer
from rag_pipeline.ingest.types import ProgressCallback, Stopped

if TYPE_CHECKING:
    from rag_pipeline.ingest.embed.bert import BertEncoder
    from rag_pipeline.ingest.types import Vectors

MODEL_ID = "all-MiniLM-L6-v2"
DIMENSIONS = 384
# The published configuration reads 256 word pieces, two of which are [CLS] and [SEP].
CONTENT_TOKENS = 254
# Sequences in one step: enough for matrix products at full speed, and few enough for regular progress.
BATCH = 8
# A longer text is cut; the chunker makes none that is nearly as long.
_MAX_WINDOWS = 64

_blas_lock = threading.Lock()


class MiniLMEmbedder:
    """Embeds texts with all-MiniLM-L6-v2: mean pooling, unit length, 384 dimensions; safe under threads.

    The constructor loads the model: 0.2 s, 91 MB. Batches of 8 run on ``threads`` threads (default: one for each core),
    and BLAS gets a single thread in this process: its own thread pool is slower, and makes callers on several threads
    wait for each other. A text of more than 254 word pieces is split into windows of that length, whose vectors are
    averaged by length, so no part of a chunk is ignored.
    """

    def __init__(
        self, model_dir: str | Path | None = None, *, threads: int | None = None, stop: threading.Event | None = None
    ) -> None:
        """Load the installed model, or the one in ``model_dir``; raises EmbeddingError with the install command."""
        folder = find_model(model_dir)
        config = read_config(folder)
        self._tokenizer = read_tokenizer(folder)
        self._encoder = _load_encoder(folder, config)
        self._stop = stop
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="minilm")
        _limit_blas()

    @property
    def model_id(self) -> str:
        """Name of the model, the same in every folder."""
        return MODEL_ID

    @property
    def dimensions(self) -> int:
        """Length of each vector: 384."""
        return DIMENSIONS

    def embed(self, texts: Sequence[str], *, on_progress: ProgressCallback | None = None) -> Vectors:
        """Return float32 unit vectors, (len(texts), 384); raises EmbeddingError, or Stopped between batches."""
        import numpy as np

        windows, owners = self._windows(texts)
        out = np.zeros((len(texts), DIMENSIONS), np.float32)
        # Longest first: a batch has similar lengths, and the last batches are short, so no thread waits long.
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i]))
        batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        done, total = 0, sum(map(len, windows))
        for batch, means in self._run(windows, batches):
            for i, mean in zip(batch, means, strict=True):
                out[owners[i]] += mean * np.float32(len(windows[i]) / np.linalg.norm(mean))
            done += sum(len(windows[i]) for i in batch)
            if on_progress is not None:
                on_progress(done / total)
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths)):
            raise EmbeddingError(f"{MODEL_ID}: the model returns numbers that are not finite: its weights are damaged")
        out /= lengths
        return out

    def close(self) -> None:
        """End the worker threads; idempotent."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _windows(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Return the token ids of each window, and the index of its text."""
        windows: list[list[int]] = []
        owners: list[int] = []
        for start in range(0, len(texts), 256):
            self._check_stop()
            part = [_encodable(text) for text in texts[start : start + 256]]
            for owner, encoding in enumerate(self._tokenizer.encode_batch_fast(part, add_special_tokens=False), start):
                ids = encoding.ids
                for at in range(0, max(1, min(len(ids), _MAX_WINDOWS * CONTENT_TOKENS)), CONTENT_TOKENS):
                    windows.append([101, *ids[at : at + CONTENT_TOKENS], 102])  # [CLS] ... [SEP]
                    owners.append(owner)
        return windows, owners

    def _run(self, windows: list[list[int]], batches: list[list[int]]) -> Iterator[tuple[list[int], Vectors]]:
        """Yield each batch with its vectors, in order, at most one batch per thread ahead of the caller."""
        pending: deque[tuple[list[int], Future[Vectors]]] = deque()
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

    def _submit(self, sequences: list[list[int]]) -> Future[Vectors]:
        try:
            return self._pool.submit(self._encoder.encode, sequences)
        except RuntimeError as error:
            raise EmbeddingError(f"{MODEL_ID}: the embedder is closed") from error

    def _check_stop(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped


def _encodable(text: str) -> str:
    """Replace lone surrogates, which tokenizers reject, by a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _load_encoder(folder: Path, config: dict[str, Any]) -> BertEncoder:
    from safetensors.numpy import load_file

    from rag_pipeline.ingest.embed.bert import BertEncoder

    path = folder / "model.safetensors"
    try:
        return BertEncoder(
            load_file(path),
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            epsilon=config["layer_norm_eps"],
        )
    except Exception as error:  # safetensors raises its own type besides OSError, KeyError and ValueError
        raise EmbeddingError(f"{path}: the weights can't be read ({type(error).__name__}: {error})") from error


def _limit_blas() -> None:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with _blas_lock:
        threadpool_limits(limits=1, user_api="blas")
