"""Search the store for the chunks that answer a question."""

from __future__ import annotations

from rag_pipeline.ingest.types import Embedder, SearchHit, VectorStore

# More than the local model reads. Longer questions are cut, not refused.
_QUESTION_CHARACTERS = 10_000


def search(store: VectorStore, embedder: Embedder, question: str, limit: int = 5) -> list[SearchHit]:
    """Return the best hits, best first; none for an empty question.

    Raises EmbeddingError or StoreError.
    """
    question = question[:_QUESTION_CHARACTERS].strip()
    if not question or limit < 1:
        return []
    return store.search(question, embedder.embed([question], as_questions=True)[0], limit=limit)
