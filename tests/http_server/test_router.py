"""The exact response of every route and method."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access import OPEN, Guard
from rag_pipeline.access.guard import guard_from_settings
from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.common.config import AuthSettings, Settings
from rag_pipeline.contract import DOCUMENTS, document
from rag_pipeline.errors import JournalBusyError, JournalError
from rag_pipeline.http_server import page
from rag_pipeline.http_server.json_encoding import encode_json
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse, StreamBody, error_response
from rag_pipeline.http_server.router import ADDRESSES, METRICS_TYPE, respond
from rag_pipeline.journal.base import FileQuery
from tests.access.signing import SECRET, shared
from tests.http_server.support import STATE, StubView

BODY = encode_json(STATE) + b"\n"
POLICY = OriginPolicy(Settings(), 8003)
ALLOW = "GET, HEAD, OPTIONS"


def ask(
    target: str, method: str = "GET", view: StubView | None = None, guard: Guard = OPEN, **headers: str
) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return respond(HttpRequest(method, target, named), view or StubView(), POLICY, guard)


def body_of(found: HttpResponse) -> bytes:
    assert isinstance(found.body, bytes)
    return found.body


def json_answer(status: int, body: bytes, **extra: str) -> HttpResponse:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **extra,
        "Vary": "Origin",
    }
    return HttpResponse(status, headers, body)


@pytest.mark.parametrize(
    "target",
    [
        *("/status", "/status/", "/status?x=1&y=%ff", "/status/?x", "/status#f", "/status/local", "/status/local/"),
        *("/status/l%6Fcal?x=1", "/%73tatus", "http://any.test/status", "http://any.test:8003/status?x=1"),
    ],
)
def test_the_state_is_json(target: str) -> None:
    assert ask(target) == json_answer(200, BODY)
    assert ask(target, "HEAD") == replace(json_answer(200, BODY), body=b"")


def test_health_is_200_or_503() -> None:
    assert ask("/health") == json_answer(200, b'{"status":"ok"}\n')
    assert ask("/health/?a", view=StubView(ok=False)) == json_answer(503, b'{"status":"down"}\n')
    assert ask("/health", "HEAD", StubView(ok=False)) == replace(json_answer(503, b'{"status":"down"}\n'), body=b"")


def test_an_unknown_pipeline_is_404_with_its_name() -> None:
    body = b'{"error":"no pipeline \'a/b\': see /status for the ones there are"}\n'
    assert ask("/status/a%2Fb") == json_answer(404, body)


@pytest.mark.parametrize("target", ["/x", "/status/local/x", "/statusx", "//status", "/events/x", "/favicon.ico"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_other_path_is_404_for_every_method(target: str, method: str) -> None:
    body = f'{{"error":"nothing at {target!r}: try {ADDRESSES}"}}\n'
    assert ask(target, method) == json_answer(404, body.encode())


@pytest.mark.parametrize("target", ["status", "*", "mailto:a@b", "http:///status", "http://[x/status", "/status/%ff"])
def test_an_invalid_path_is_400(target: str) -> None:
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
    assert ask(target, "OPTIONS") == HttpResponse(204, {"Allow": ALLOW, "Vary": "Origin"})


def test_a_preflight_of_an_allowed_origin_is_granted() -> None:
    headers = ask("/status", "OPTIONS", origin="http://localhost:3000").headers
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert headers["Access-Control-Allow-Methods"] == ALLOW
    # The headers of a page that reads the stream with fetch.
    assert {"Last-Event-ID", "Cache-Control"} <= set(headers["Access-Control-Allow-Headers"].split(", "))


@pytest.mark.parametrize(("target", "status"), [("/status", 200), ("/nothing", 404)])
def test_an_allowed_origin_may_read_responses_and_errors(target: str, status: int) -> None:
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
    assert error_response(expected.status, "bad") == replace(expected, headers=headers)  # type: ignore[arg-type]


def test_the_page_has_a_strict_policy() -> None:
    found = ask("/", host="box.test:8003")
    assert found.status == 200
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = found.headers["Content-Security-Policy"]
    assert policy == page.content_security_policy(StubView().addresses, "box.test:8003")
    assert found.headers["Content-Length"] == str(len(body_of(found)))
    assert ask("/", "HEAD", host="box.test:8003") == replace(found, body=b"")


@pytest.mark.parametrize("target", ["/events?limit=5", "/events/?limit=5#f", "http://any.test/events?limit=5"])
def test_the_query_selects_events(target: str) -> None:
    view = StubView()
    body = b'{"events":[],"next":"0123abcd-0","recovered":true,"more":false}\n'
    assert ask(target, view=view) == json_answer(200, body)
    assert ask(target, "HEAD", view) == replace(json_answer(200, body), body=b"")
    assert view.calls == [("events", None, "/pipeline", 5)] * 2


def test_the_query_selects_files() -> None:
    view = StubView()
    assert ask("/files?q=a%26b", view=view) == json_answer(200, b'{"files":[],"next":null,"complete":true}\n')
    assert view.calls == [("files", FileQuery(text="a&b"))]


def test_an_invalid_query_is_400_for_get_and_head() -> None:
    body = b'{"error":"limit=\'0\': expected a whole number from 1 to 1000"}\n'
    for target in ("/events?limit=0", "/files?limit=0"):
        assert ask(target) == json_answer(400, body)
        assert ask(target, "HEAD") == replace(json_answer(400, body), body=b"")


def test_a_stream_has_a_refusal_if_it_can_not_be_opened() -> None:
    view = StubView()
    found = ask("/events", view=view, accept="text/event-stream", origin="http://localhost:3000")
    cors = {"Vary": "Origin", "Access-Control-Allow-Origin": "http://localhost:3000"}
    assert found.status == 200
    assert found.headers == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Accel-Buffering": "no",
        **cors,
    }
    assert isinstance(found.body, StreamBody)
    assert found.body.refusal == json_answer(
        503,
        b'{"error":"too many event streams; try again in 5 seconds"}\n',
        **{"Retry-After": "5", "Access-Control-Allow-Origin": "http://localhost:3000"},
    )
    assert view.calls == []
    assert ask("/events", "HEAD", view, accept="text/event-stream", origin="http://localhost:3000") == replace(
        found, body=b""
    )


@given(
    st.text(max_size=20),
    st.text(max_size=60) | st.from_regex(r"/(status|health|events|files)?/?\??.{0,9}"),
    st.dictionaries(st.sampled_from(["host", "origin", "x-forwarded-proto", "accept"]), st.text(max_size=30)),
)
def test_every_request_has_a_response(method: str, target: str, headers: dict[str, str]) -> None:
    found = respond(HttpRequest(method, target, headers), StubView(), POLICY)
    assert found.status in (200, 204, 400, 404, 405)
    if found.body and found.headers["Content-Type"].startswith("application/json"):
        json.loads(body_of(found))
    for value in found.headers.values():
        assert value.isascii()
        assert value.isprintable()


def test_metrics_have_the_content_type_of_prometheus() -> None:
    found = ask("/metrics")
    assert (found.status, found.headers["Content-Type"], found.body) == (200, METRICS_TYPE, b"up 1\n")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_contract_is_served(name: str) -> None:
    assert ask(f"/{name}") == json_answer(200, document(name))


# -- tokens ------------------------------------------------------------------------------------------------------------


TOKEN = "a-token-of-the-house"
GUARD = guard_from_settings(AuthSettings(tokens=(TOKEN,), jwt_secret=SECRET))
GUARDED = ["/status", "/status/local", "/status/none", "/events", "/events?limit=x", "/files", "/metrics"]
REALM = 'Bearer realm="rag-pipeline"'


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", GUARDED)
def test_information_about_pipelines_needs_a_token(target: str, method: str) -> None:
    view = StubView()
    body = b'{"error":"a token is needed to see this"}\n'
    expected = json_answer(401, body, **{"WWW-Authenticate": REALM})
    assert ask(target, method, view, GUARD) == (expected if method == "GET" else replace(expected, body=b""))
    assert view.calls == []


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("wrong-token-of-a-stranger", "the token is not valid"),
        (shared(seconds=-1), "the token has expired"),
        (shared(aud="others", seconds=3600), "the token is for another audience"),
    ],
)
@pytest.mark.parametrize("target", GUARDED)
def test_an_invalid_token_gets_the_reason_and_is_not_repeated(target: str, token: str, told: str) -> None:
    found = ask(target, guard=GUARD, authorization=f"Bearer {token}")
    challenge = f'{REALM}, error="invalid_token", error_description="{told}"'
    assert found == json_answer(401, f'{{"error":"{told}"}}\n'.encode(), **{"WWW-Authenticate": challenge})


@pytest.mark.parametrize("header", ["Basic YTpi", TOKEN, f"Bearer {TOKEN}, Bearer {TOKEN}", f"Token {TOKEN}"])
def test_only_a_bearer_token_is_accepted(header: str) -> None:
    assert ask("/status", guard=GUARD, authorization=header).status == 401
    assert ask(f"/status?access_token={TOKEN}", guard=GUARD).status == 401


@pytest.mark.parametrize("target", ["/status", "/status/local", "/events", "/files", "/metrics", "/health"])
def test_with_a_token_every_response_is_as_without_a_guard(target: str) -> None:
    for token in (TOKEN, shared(), shared(namespaces=["/pipeline"])):
        assert ask(target, guard=GUARD, authorization=f"Bearer {token}") == ask(target)


@pytest.mark.parametrize("target", ["/", "/openapi.json", "/asyncapi.json", "/dashboard/main.js", "/nothing"])
def test_responses_without_data_need_no_token(target: str) -> None:
    assert ask(target, guard=GUARD) == ask(target)


@pytest.mark.parametrize("target", [*GUARDED, "/health", "/"])
def test_a_preflight_needs_no_token(target: str) -> None:
    origin = "http://localhost:3000"
    found = ask(target, "OPTIONS", guard=GUARD, origin=origin)
    assert found == ask(target, "OPTIONS", origin=origin)
    assert "Authorization" in found.headers["Access-Control-Allow-Headers"]
    assert ask(target, "POST", guard=GUARD).status == 405


def test_a_page_of_an_allowed_origin_may_read_its_refusal() -> None:
    found = ask("/status", guard=GUARD, origin="http://localhost:3000")
    assert (found.status, found.headers["Access-Control-Allow-Origin"]) == (401, "http://localhost:3000")


@pytest.mark.parametrize(("ok", "status", "word"), [(True, 200, "degraded"), (False, 503, "down")])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong-token-of-a-stranger"}], ids=["none", "wrong"])
def test_health_without_a_token_is_only_the_status(ok: bool, status: int, word: str, headers: dict[str, str]) -> None:
    view = StubView(ok=ok, health={"status": word, "pipelines": {"local": {"status": "idle"}}})
    assert ask("/health", view=view, guard=GUARD, **headers) == json_answer(status, f'{{"status":"{word}"}}\n'.encode())


LIMITED = {"state": {"pipeline_id": "local", "pipeline_type": "local_files", "status": "idle"}}


def limited_to(*namespaces: str) -> str:
    return f"Bearer {shared(namespaces=list(namespaces))}"


def test_a_limited_token_sees_its_own_pipelines() -> None:
    view = StubView(LIMITED["state"])
    for target in ("/status", "/status/local"):
        assert ask(target, "GET", view, GUARD, authorization=limited_to("/local_files")) == ask(target, view=view)


def test_for_a_limited_token_other_pipelines_do_not_exist() -> None:
    view, header = StubView(LIMITED["state"]), limited_to("/google_drive")
    assert ask("/status", "GET", view, GUARD, authorization=header) == json_answer(200, b'{"pipelines":{}}\n')
    unknown = ask("/status/local", view=StubView({"pipeline_id": "local", "pipeline_type": None}))
    assert unknown.status == 200
    hidden = ask("/status/local", "GET", view, GUARD, authorization=header)
    assert hidden == json_answer(404, b'{"error":"no pipeline \'local\': see /status for the ones there are"}\n')
    assert ask("/files", "GET", view, GUARD, authorization=header) == json_answer(
        200, b'{"files":[],"next":null,"complete":true}\n'
    )


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(("query", "namespace"), [("", "/pipeline"), ("?namespace=/google_drive", "/google_drive")])
def test_a_namespace_that_is_not_allowed_is_403(query: str, namespace: str, accept: str) -> None:
    view = StubView()
    found = ask(f"/events{query}", "GET", view, GUARD, authorization=limited_to("/local_files"), accept=accept)
    told = f"the token does not allow {namespace}"
    challenge = f'{REALM}, error="insufficient_scope", error_description="{told}"'
    assert found == json_answer(403, f'{{"error":"{told}"}}\n'.encode(), **{"WWW-Authenticate": challenge})
    assert view.calls == []


def test_metrics_need_an_unlimited_token() -> None:
    assert ask("/metrics", guard=GUARD, authorization=limited_to("/local_files")).status == 403


def test_an_allowed_namespace_is_readable() -> None:
    view, header = StubView(), limited_to("/local_files")
    assert ask("/events?namespace=/local_files", "GET", view, GUARD, authorization=header).status == 200
    assert view.calls == [("events", None, "/local_files", 100)]


@given(
    st.text(max_size=60) | st.sampled_from(GUARDED),
    st.text(max_size=30) | st.text(max_size=30).map("Bearer {}".format),
)
def test_no_invalid_header_is_accepted(target: str, authorization: str) -> None:
    view = StubView()
    found = respond(HttpRequest("GET", target, {"authorization": authorization}), view, POLICY, GUARD)
    assert view.calls == []
    assert found.status in (200, 400, 401, 404)
    assert found.status != 200 or b"local" not in body_of(found) or found.headers["Content-Type"] != "application/json"
    for value in found.headers.values():
        assert value.isascii()
        assert value.isprintable()


def test_a_cached_file_is_not_sent_again() -> None:
    found = ask("/dashboard/main.js")
    assert found.status == 200
    tag = found.headers["ETag"]
    for known in (tag, f'"other", W/{tag}'):
        again = ask("/dashboard/main.js", if_none_match=known)
        assert (again.status, body_of(again), again.headers["ETag"]) == (304, b"", tag)
        assert "Content-Length" not in again.headers
    assert ask("/dashboard/main.js", if_none_match='"other"') == found


# -- invalid queries, failing journals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_an_invalid_query_of_events_is_400(accept: str) -> None:
    view = StubView()
    found = ask("/events?limit=many", view=view, accept=accept)
    assert found.status == 400
    assert body_of(found) == b'{"error":"limit=\'many\': expected a whole number from 1 to 1000"}\n'
    assert view.calls == []


@pytest.mark.parametrize("query", ["summary=1", "summary", "summary=True", "summary=true&summary=true"])
@pytest.mark.parametrize("path", ["/status", "/status/local"])
def test_an_invalid_summary_parameter_is_400(path: str, query: str) -> None:
    found = ask(f"{path}?{query}")
    assert found.status == 400
    assert json.loads(body_of(found))["error"].startswith("summary")


def test_an_offset_of_another_journal_is_400() -> None:
    found = ask("/files?before=ffffffff-1")
    assert found.status == 400
    assert "not of the journal that is kept now" in json.loads(body_of(found))["error"]


def test_a_journal_that_can_not_be_read_is_503_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    view = StubView()
    view.error = JournalError("the disk is gone")
    with caplog.at_level(logging.WARNING, "rag_pipeline.http"):
        responses = [ask("/events", view=view), ask("/files", view=view)]
    for found in responses:
        assert found.status == 503
        assert body_of(found) == b'{"error":"the history can\'t be read now: see /health"}\n'
    assert caplog.text.count("the disk is gone") == 2


def test_one_search_too_many_is_503_with_a_retry_time_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    view = StubView()
    view.error = JournalBusyError("too many searches at once; try again in a second")
    found = ask("/files?q=a", view=view)
    assert (found.status, found.headers["Retry-After"]) == (503, "1")
    assert body_of(found) == b'{"error":"too many searches at once; try again in a second"}\n'
    assert caplog.text == ""
