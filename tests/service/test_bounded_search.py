"""The limits of document searches."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest

from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.errors import SearchUnavailableError, StoreError
from rag_pipeline.service.bounded_search import BoundedSearch

SECONDS = 30.0
QUERY = DocumentQuery("heron")


class Documents:
    """Answers once it may, and counts the searches that run at once."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.started = threading.Event()
        self.error: Exception | None = None
        self.running = self.most = 0

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        self.running += 1
        self.most = max(self.most, self.running)
        self.started.set()
        self.may_answer.wait(SECONDS)
        self.running -= 1
        if self.error is not None:
            raise self.error
        return [{"text": query.question}]


def test_results_and_errors_come_through() -> None:
    documents = Documents()
    documents.may_answer.set()
    search = BoundedSearch(documents)
    assert search.search(QUERY) == [{"text": "heron"}]
    documents.error = StoreError("the disk is gone")
    for _ in range(3):
        with pytest.raises(StoreError, match="the disk is gone"):
            search.search(QUERY)


def test_a_search_that_takes_too_long_is_given_up_and_blocks_the_next_ones_for_a_bounded_time() -> None:
    documents = Documents()
    search = BoundedSearch(documents, patience_seconds=0.01, limit_seconds=0.01)
    with pytest.raises(SearchUnavailableError, match=r"longer than 0\.01 seconds"):
        search.search(QUERY)
    with pytest.raises(SearchUnavailableError, match="too many"):
        search.search(QUERY)
    assert documents.most == 1
    documents.may_answer.set()
    patient = BoundedSearch(documents)
    assert patient.search(QUERY) == [{"text": "heron"}]


def test_one_search_runs_at_a_time_and_one_too_many_fails_at_once() -> None:
    documents = Documents()
    search = BoundedSearch(documents, most=3, patience_seconds=SECONDS)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(search.search(QUERY))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert documents.started.wait(SECONDS)
    while search._inside < 3:
        threading.Event().wait(0.005)
    with pytest.raises(SearchUnavailableError, match="too many searches at once"):
        search.search(QUERY)
    documents.may_answer.set()
    for thread in threads:
        thread.join(SECONDS)
    assert (len(found), documents.most) == (3, 1)
