"""The content of responses before it goes on the wire."""

from __future__ import annotations

from http import HTTPStatus

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.http_server.content import ResponseContent, error_content, json_content, no_pipeline, quoted

JSON = "application/json; charset=utf-8"


def test_json_is_one_line() -> None:
    assert json_content(HTTPStatus.OK, {"a": "é"}) == ResponseContent(HTTPStatus.OK, JSON, '{"a":"é"}\n'.encode())


def test_an_error_has_a_message_and_its_own_headers() -> None:
    found = error_content(HTTPStatus.NOT_FOUND, "gone", {"Retry-After": "5"})
    assert found == ResponseContent(HTTPStatus.NOT_FOUND, JSON, b'{"error":"gone"}\n', {"Retry-After": "5"})


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_a_clients_text_is_quoted_on_one_bounded_line(text: str) -> None:
    assert quoted(text).isprintable()
    assert len(quoted("x" * 10_000)) == 202


def test_an_unknown_pipeline_is_named_without_its_query_string() -> None:
    found = no_pipeline("a?token=secret")
    assert (found.status, found.body) == (404, b'{"error":"no pipeline \'a\': see /status for the ones there are"}\n')
