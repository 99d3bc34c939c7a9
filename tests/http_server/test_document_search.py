"""``GET /search``: parameters, refusals, and what a limited token finds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from rag_pipeline.access import Access
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.errors import SearchUnavailableError, StoreError
from rag_pipeline.http_server.content import ResponseContent
from rag_pipeline.http_server.document_search import search
from rag_pipeline.http_server.query import QueryError
from rag_pipeline.http_server.scoped_view import ScopedView
from rag_pipeline.http_server.service_view import ServiceView
from tests.contract.checking import check_answer
from tests.http_server.support import StubView

RESULT = {
    "pipeline_id": "local", "file_id": "a.txt", "name": "a.txt", "uri": "file:///a.txt", "mime_type": None,
    "place": "", "text": "the heron", "score": 0.9, "words": 1.5, "vector": 0.4,
}  # fmt: skip


class Refused(StubView):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def ask(view: ServiceView, query: str) -> tuple[int, Mapping[str, object], ResponseContent]:
    content = search(view, query)
    assert isinstance(content.body, bytes)
    headers = {"Content-Type": content.content_type, "Cache-Control": "no-store", **content.headers}
    check_answer(f"/search?{query}", content.status, headers, content.body)
    return content.status, json.loads(content.body), content


def test_results_are_returned() -> None:
    view = StubView()
    view.results = [RESULT]
    status, body, _ = ask(view, "q=the+heron&pipeline=local&path=docs/*&type=text/*&limit=7")
    assert (status, body) == (200, {"results": [RESULT]})
    query = DocumentQuery("the heron", frozenset({"local"}), "docs/*", "text/*", 7)
    assert view.calls == [("search", query)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "q is missing: expected what to look for, in words"),
        ("q=+", "q is missing: expected what to look for, in words"),
        (f"q={'x' * 2001}", "expected at most 2000 characters"),
        ("q=a&limit=0", "limit='0': expected a whole number from 1 to 100"),
        ("q=a&limit=101", "limit='101': expected a whole number from 1 to 100"),
        ("q=a&type=a+b", "type='a b': expected a MIME type such as application/pdf or text/*, an extension"),
        ("q=a&path=", "path='': expected a path such as reports/*.pdf, of 1 to 1000 characters"),
        ("q=a&pipeline=", "pipeline='': expected 1 to 200 printable characters"),
        ("q=a&mime=pdf", "unknown parameter 'mime': expected q, pipeline, path, type or limit"),
        ("q=a&q=b", "q is given as 'a' and as 'b': expected it once"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        search(StubView(), query)
    assert message in str(caught.value)


def test_where_search_is_off_the_answer_says_how_to_turn_it_on() -> None:
    view = StubView()
    view.refusal = "set STATUS_SEARCH=1"
    assert ask(view, "q=heron")[:2] == (403, {"error": "set STATUS_SEARCH=1"})
    assert view.calls == []


def test_a_busy_search_is_a_503_that_says_when_to_retry() -> None:
    status, body, content = ask(Refused(SearchUnavailableError("too many")), "q=heron")
    assert (status, body, content.headers["Retry-After"]) == (503, {"error": "too many"}, "2")


def test_a_store_that_fails_is_a_503() -> None:
    assert ask(Refused(StoreError("the disk is gone")), "q=heron")[:2] == (503, {"error": "the disk is gone"})


class TwoPipelines(StubView):
    def states(self) -> Sequence[Mapping[str, object]]:
        kinds = {"files": "local_files", "drive": "google_drive"}
        return [{"pipeline_id": pipeline_id, "pipeline_type": kind} for pipeline_id, kind in kinds.items()]


def test_a_limited_token_searches_the_pipelines_it_shows() -> None:
    view = TwoPipelines()
    scoped = ScopedView(view, Access(frozenset({"/local_files"})))
    ask(scoped, "q=heron")
    ask(scoped, "q=heron&pipeline=files")
    assert view.calls == [("search", DocumentQuery("heron", frozenset({"files"})))] * 2
    assert ask(scoped, "q=heron&pipeline=drive")[0] == 404
    assert len(view.calls) == 2
    nothing = ScopedView(view, Access(frozenset()))
    ask(nothing, "q=heron")
    assert view.calls[-1] == ("search", DocumentQuery("heron", frozenset()))
