from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.ingest.embed.caching import CachingEmbedder
from rag_pipeline.ingest.types import ProgressCallback, Stopped
from tests.support.waiting import wait_until

DIMENSIONS = 4


class Counting:
    """Records the texts of each call. Call number ``error_at`` fails; calls wait until ``hold`` is set."""

    model_id = "counting"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.error_at: int | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.closed = False

    def embed(
        self, texts: Sequence[str], *, as_questions: bool = False, on_progress: ProgressCallback | None = None
    ) -> np.ndarray:
        self.calls.append(list(texts))
        assert self.hold.wait(20)
        if self.error_at == len(self.calls):
            raise EmbeddingError("away")
        if on_progress is not None and texts:
            on_progress(1.0)
        rows = [[float(len(text)), *text.encode()[:3].ljust(3, b"\0")] for text in texts]
        return np.array(rows, np.float32).reshape(-1, DIMENSIONS)

    def close(self) -> None:
        self.closed = True


def test_vectors_have_the_order_of_the_texts_and_each_text_is_embedded_once() -> None:
    counting = Counting()
    embedder = CachingEmbedder(counting, batch_size=2)
    texts = ["one", "three", "one", "four", "three"]
    assert embedder.embed(texts).tolist() == Counting().embed(texts).tolist()
    assert counting.calls == [["one", "three"], ["four"]]
    assert (embedder.model_id, embedder.dimensions) == ("counting", DIMENSIONS)
    assert embedder.embed([]).shape == (0, DIMENSIONS)
    embedder.close()
    assert counting.closed


def test_texts_embedded_before_an_error_are_not_embedded_again() -> None:
    counting = Counting()
    counting.error_at = 3
    embedder = CachingEmbedder(counting, batch_size=1)
    with pytest.raises(EmbeddingError):
        embedder.embed(["a", "b", "c", "d"])
    assert len(embedder.embed(["a", "b", "c", "d"])) == 4
    assert counting.calls == [["a"], ["b"], ["c"], ["c"], ["d"]]


def test_progress_includes_cached_texts() -> None:
    fractions: list[float] = []
    embedder = CachingEmbedder(Counting(), batch_size=2)
    embedder.embed(["a", "b"])
    embedder.embed(["a", "b", "c", "d"], on_progress=fractions.append)
    assert list(dict.fromkeys(fractions)) == [0.5, 1.0]


def test_a_text_that_another_thread_is_embedding_is_not_embedded_twice() -> None:
    counting = Counting()
    counting.hold.clear()
    embedder = CachingEmbedder(counting, batch_size=8)
    results: list[list[list[float]]] = []
    waits = threading.Event()
    first = threading.Thread(target=lambda: results.append(embedder.embed(["same", "a"]).tolist()))
    first.start()
    wait_until(lambda: bool(counting.calls))
    second = threading.Thread(
        target=lambda: results.append(embedder.embed(["same"], on_progress=lambda _: waits.set()).tolist())
    )
    second.start()
    assert waits.wait(20)
    counting.hold.set()
    for thread in (first, second):
        thread.join(20)
    assert counting.calls == [["same", "a"]]
    assert sorted(map(len, results)) == [1, 2]


def test_a_waiting_thread_embeds_a_text_that_another_thread_failed_to_embed() -> None:
    counting = Counting()
    counting.hold.clear()
    counting.error_at = 1
    embedder = CachingEmbedder(counting, batch_size=8)
    failed: list[EmbeddingError] = []
    waits = threading.Event()

    def fail() -> None:
        try:
            embedder.embed(["same"])
        except EmbeddingError as error:
            failed.append(error)

    first = threading.Thread(target=fail)
    first.start()
    wait_until(lambda: bool(counting.calls))
    second = threading.Thread(target=lambda: embedder.embed(["same"], on_progress=lambda _: waits.set()))
    second.start()
    assert waits.wait(20)
    counting.hold.set()
    for thread in (first, second):
        thread.join(20)
    assert (len(failed), counting.calls) == (1, [["same"], ["same"]])


def test_a_waiting_thread_can_be_stopped() -> None:
    counting = Counting()
    counting.hold.clear()
    embedder = CachingEmbedder(counting, batch_size=8)
    first = threading.Thread(target=lambda: embedder.embed(["same"]))
    first.start()
    wait_until(lambda: bool(counting.calls))

    def stop(_: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        embedder.embed(["same"], on_progress=stop)
    counting.hold.set()
    first.join(20)


def test_the_cache_is_bounded_and_evicts_the_least_recently_used() -> None:
    counting = Counting()
    embedder = CachingEmbedder(counting, batch_size=1, limit_bytes=500)  # two entries
    embedder.embed(["a", "b"])
    embedder.embed(["a"])
    embedder.embed(["c"])
    counting.calls.clear()
    embedder.embed(["a", "b"])
    assert counting.calls == [["b"]]


def test_a_question_and_an_equal_passage_are_cached_separately() -> None:
    counting = Counting()
    embedder = CachingEmbedder(counting, batch_size=2)
    embedder.embed(["what"])
    embedder.embed(["what"], as_questions=True)
    embedder.embed(["what"], as_questions=True)
    assert counting.calls == [["what"], ["what"]]
