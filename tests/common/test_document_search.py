"""The records that the service and the search of documents share."""

from __future__ import annotations

from rag_pipeline.common.document_search import DEFAULT_RESULTS, MAX_RESULTS, DocumentQuery


def test_a_question_alone_searches_everything() -> None:
    query = DocumentQuery("heron")
    assert (query.pipelines, query.path, query.type, query.limit) == (None, None, None, DEFAULT_RESULTS)
    assert DEFAULT_RESULTS <= MAX_RESULTS
