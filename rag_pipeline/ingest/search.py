"""Search the store for the chunks that answer a question."""

from __future__ import annotations

from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER, TermAnalyzer
from rag_pipeline.ingest.types import EVERY_FILE, NO_FLOOR, Embedder, SearchFilter, SearchFloor, SearchHit, VectorStore

# More than the local model reads. Longer questions are cut, not refused.
_QUESTION_CHARACTERS = 10_000
_SPARE = 20

MIN_WORDS = 0.2
"""The default of RAG_SEARCH_MIN_WORDS."""
MIN_SHARE = 0.5
"""A result below the lowest cosine has at least this share of the question's words."""
MIN_VECTOR = 0.25
"""The default of RAG_SEARCH_MIN_VECTOR with the local model: two unrelated texts are below it."""
MIN_VECTOR_OF_ENDPOINTS = 0.1
"""The default with an embedding endpoint, whose model is unknown."""


def floor_of(settings: IngestSettings) -> SearchFloor:
    """Return the lowest scores of results."""
    min_words, min_vector = settings.search_min_words, settings.search_min_vector
    if min_vector is None:
        min_vector = MIN_VECTOR if settings.embedding_api_url is None else MIN_VECTOR_OF_ENDPOINTS
    return SearchFloor(MIN_WORDS if min_words is None else min_words, min_vector)


def search(
    store: VectorStore,
    embedder: Embedder,
    question: str,
    limit: int = 5,
    *,
    only: SearchFilter = EVERY_FILE,
    floor: SearchFloor = NO_FLOOR,
    analyzer: TermAnalyzer = DEFAULT_ANALYZER,
) -> list[SearchHit]:
    """Return the best hits, best first; none for an empty question, or if nothing reaches the floor.

    A hit reaches it by its cosine, or by its score by words together with half of the question's words, or by all of
    them: in a small store even a rare word has a low score. Raises EmbeddingError or StoreError.
    """
    question = question[:_QUESTION_CHARACTERS].strip()
    if not question or limit < 1:
        return []
    vector = embedder.embed([question], as_questions=True)[0]
    if analyzer.is_ambiguous_acronym(question):
        vector = vector * 0  # models don't tell IT from "it"
    # More than asked for, because some may have too few of the words.
    hits = store.search(question, vector, limit=limit + _SPARE, only=only, floor=SearchFloor(0.0, floor.vector))
    return [hit for hit in hits if _is_near(hit, question, floor, analyzer)][:limit]


def _is_near(hit: SearchHit, question: str, floor: SearchFloor, analyzer: TermAnalyzer) -> bool:
    if hit.vector >= floor.vector:
        return True
    share = analyzer.share_of(question, f"{hit.name}\n{hit.place}\n{hit.text}")
    return share == 1 or (share >= MIN_SHARE and hit.words >= floor.words)
