"""The exact answer of every route and method."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.config import Settings
from rag_pipeline.http_server.answers import Answer, Request, Streaming, answer, error_answer
from rag_pipeline.journal.base import FileQuery
from rag_pipeline.origins import OriginPolicy
from tests.http_server.support import StubSource

BODY = b'{"pipeline_id":"local","status":"idle","files_completed":[]}\n'
POLICY = OriginPolicy(Settings(), 8003)
ALLOW = "GET, HEAD, OPTIONS"


def ask(target: str, method: str = "GET", source: StubSource | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(Request(method, target, named), source or StubSource(), POLICY)


def body_of(found: Answer) -> bytes:
    assert isinstance(found.body, bytes)
    return found.body


def json_answer(status: int, body: bytes, **extra: str) -> Answer:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **extra,
        "Vary": "Origin",
    }
    return Answer(status, headers, body)


@pytest.mark.parametrize(
    "target",
    [
        *("/status", "/status/", "/status?x=1&y=%ff", "/status/?x", "/status#f", "/status/local", "/status/local/"),
        *("/status/l%6Fcal?x=1", "/%73tatus", "http://any.test/status", "http://any.test:8003/status?x=1"),
    ],
)
def test_the_state_is_given_as_json(target: str) -> None:
    assert ask(target) == json_answer(200, BODY)
    assert ask(target, "HEAD") == replace(json_answer(200, BODY), body=b"")


def test_health_is_200_or_503() -> None:
    assert ask("/health") == json_answer(200, b'{"ok":true}\n')
    assert ask("/health/?a", source=StubSource(ok=False)) == json_answer(503, b'{"ok":false}\n')
    assert ask("/health", "HEAD", StubSource(ok=False)) == replace(json_answer(503, b'{"ok":false}\n'), body=b"")


def test_an_unknown_pipeline_is_404_and_named() -> None:
    body = b'{"error":"no pipeline \'a/b\': see /status for the ones there are"}\n'
    assert ask("/status/a%2Fb") == json_answer(404, body)


@pytest.mark.parametrize("target", ["/x", "/status/local/x", "/statusx", "//status", "/events/x", "/favicon.ico"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_other_path_is_404_whatever_the_method(target: str, method: str) -> None:
    tried = "/, /status, /status/<pipeline_id>, /events, /files or /health"
    body = f'{{"error":"nothing at {target!r}: try {tried}"}}\n'
    assert ask(target, method) == json_answer(404, body.encode())


@pytest.mark.parametrize("target", ["status", "*", "mailto:a@b", "http:///status", "http://[x/status", "/status/%ff"])
def test_what_is_no_path_is_400(target: str) -> None:
    found = ask(target)
    assert found.status == 400
    assert json.loads(body_of(found)) == {"error": f"{target!r} is not a path this server can read"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "get"])
@pytest.mark.parametrize("target", ["/", "/status", "/status/local", "/health", "/events", "/files?limit=x"])
def test_any_other_method_is_405_with_allow(method: str, target: str) -> None:
    body = f'{{"error":"{method!r} is not possible here: use {ALLOW}"}}\n'
    assert ask(target, method) == json_answer(405, body.encode(), Allow=ALLOW)


@pytest.mark.parametrize("target", ["/", "/status", "/status/none", "/health", "/events", "/files?limit=x", "*"])
def test_options_names_the_methods(target: str) -> None:
    assert ask(target, "OPTIONS") == Answer(204, {"Allow": ALLOW, "Vary": "Origin"})


def test_a_preflight_of_an_allowed_origin_is_granted() -> None:
    headers = ask("/status", "OPTIONS", origin="http://localhost:3000").headers
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert headers["Access-Control-Allow-Methods"] == ALLOW
    # What a page that reads the stream by fetch sends.
    assert {"Last-Event-ID", "Cache-Control"} <= set(headers["Access-Control-Allow-Headers"].split(", "))


@pytest.mark.parametrize(("target", "status"), [("/status", 200), ("/nothing", 404)])
def test_an_allowed_origin_may_read_answers_and_errors(target: str, status: int) -> None:
    found = ask(target, origin="http://localhost:3000")
    assert (found.status, found.headers["Access-Control-Allow-Origin"]) == (status, "http://localhost:3000")
    assert "Access-Control-Allow-Credentials" not in found.headers
    refused = ask(target, origin="http://evil.test")
    assert (refused.status, "Access-Control-Allow-Origin" in refused.headers) == (status, False)
    assert refused.headers["Vary"] == "Origin"


def test_behind_a_tls_proxy_the_same_origin_is_allowed() -> None:
    found = ask("/status", origin="https://status.test", host="status.test", x_forwarded_proto="https")
    assert found.headers["Access-Control-Allow-Origin"] == "https://status.test"


def test_errors_are_one_bounded_line_without_the_query() -> None:
    found = ask("/" + "x" * 10_000 + "?token=secret")
    assert found.status == 404
    assert len(body_of(found)) < 400
    assert b"secret" not in body_of(ask("nowhere?token=secret"))


def test_an_error_of_the_connection_is_json() -> None:
    expected = json_answer(400, b'{"error":"bad"}\n')
    headers = {name: value for name, value in expected.headers.items() if name != "Vary"}
    assert error_answer(expected.status, "bad") == replace(expected, headers=headers)  # type: ignore[arg-type]


def test_the_page_has_a_strict_policy() -> None:
    found = ask("/", host="box.test:8003")
    assert found.status == 200
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"
    assert found.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert found.headers["Content-Length"] == str(len(body_of(found)))
    assert ask("/", "HEAD", host="box.test:8003") == replace(found, body=b"")


@pytest.mark.parametrize("target", ["/events?limit=5", "/events/?limit=5#f", "http://any.test/events?limit=5"])
def test_events_are_asked_for_by_the_query(target: str) -> None:
    source = StubSource()
    body = b'{"events":[],"next":"0123abcd-0","recovered":true,"more":false}\n'
    assert ask(target, source=source) == json_answer(200, body)
    assert ask(target, "HEAD", source) == replace(json_answer(200, body), body=b"")
    assert source.asked == [("events", None, "/pipeline", 5)] * 2


def test_files_are_asked_for_by_the_query() -> None:
    source = StubSource()
    assert ask("/files?q=a%26b", source=source) == json_answer(200, b'{"files":[],"next":null}\n')
    assert source.asked == [("files", FileQuery(text="a&b"))]


def test_a_query_that_makes_no_sense_is_400_for_get_and_head() -> None:
    body = b'{"error":"limit=\'0\': expected a whole number from 1 to 1000"}\n'
    for target in ("/events?limit=0", "/files?limit=0"):
        assert ask(target) == json_answer(400, body)
        assert ask(target, "HEAD") == replace(json_answer(400, body), body=b"")


def test_a_stream_comes_with_what_to_answer_when_there_can_be_none() -> None:
    source = StubSource()
    found = ask("/events", source=source, accept="text/event-stream", origin="http://localhost:3000")
    cors = {"Vary": "Origin", "Access-Control-Allow-Origin": "http://localhost:3000"}
    assert found.status == 200
    assert found.headers == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Accel-Buffering": "no",
        **cors,
    }
    assert isinstance(found.body, Streaming)
    assert found.body.refusal == json_answer(
        503,
        b'{"error":"no further stream can be had now; try again in 5 seconds"}\n',
        **{"Retry-After": "5", "Access-Control-Allow-Origin": "http://localhost:3000"},
    )
    assert source.asked == []
    assert ask("/events", "HEAD", source, accept="text/event-stream", origin="http://localhost:3000") == replace(
        found, body=b""
    )


@given(
    st.text(max_size=20),
    st.text(max_size=60) | st.from_regex(r"/(status|health|events|files)?/?\??.{0,9}"),
    st.dictionaries(st.sampled_from(["host", "origin", "x-forwarded-proto", "accept"]), st.text(max_size=30)),
)
def test_every_request_has_an_answer(method: str, target: str, headers: dict[str, str]) -> None:
    found = answer(Request(method, target, headers), StubSource(), POLICY)
    assert found.status in (200, 204, 400, 404, 405)
    if found.body and found.headers["Content-Type"].startswith("application/json"):
        json.loads(body_of(found))
    for value in found.headers.values():
        assert value.isascii()
        assert value.isprintable()
