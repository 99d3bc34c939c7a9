"""Files, chunks and vectors to store."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag_pipeline.ingest.types import Chunk, SearchHit, SourceFile, VectorStore

WIDTH = 8


def file(file_id: str, content_hash: str = "h") -> SourceFile:
    return SourceFile(file_id, file_id.rpartition("/")[2], f"file:///{file_id}", content_hash, 3, "text/plain", 1.5)


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk(text, f"page {i + 1}", i) for i, text in enumerate(texts)]


def vectors(count: int, seed: int = 0, width: int = WIDTH) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


ANY = vectors(1, 99)[0]


def everything(store: VectorStore) -> list[SearchHit]:
    return store.search("", ANY, limit=1000)


# Names as Python returns them: with lone surrogates for bytes that are not UTF-8, and with the escape character itself.
NAMES = st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from("\udc80\udcff\ud800\ufdd0d0'")))
