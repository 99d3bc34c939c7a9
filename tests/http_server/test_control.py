"""``POST /control``: which requests are accepted, from whom, and what a real service does with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access import OPEN, Guard
from rag_pipeline.access.guard import guard_from_settings
from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.common.config import AuthSettings, Settings
from rag_pipeline.http_server import control
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse
from rag_pipeline.http_server.router import respond
from rag_pipeline.service import StatusServer
from rag_pipeline.status.control import Action, Control, ControlError
from rag_pipeline.status.pipeline import PipelineStatus
from tests.access.signing import SECRET, shared
from tests.contract.checking import check_answer
from tests.http_server.support import StubView
from tests.journal.redis_server import needs_redis, running
from tests.socket_server.support import exchange, new_pipeline, request, serving
from tests.support.waiting import wait_until

TOKEN = "a-token-of-the-house"
GUARD = guard_from_settings(AuthSettings(tokens=(TOKEN,), jwt_secret=SECRET))
BEARER = f"Bearer {TOKEN}"
PAUSE = "/control/local/pause"


def ask(
    target: str,
    method: str = "POST",
    view: StubView | None = None,
    guard: Guard = OPEN,
    settings: Settings | None = None,
    **headers: str,
) -> HttpResponse:
    named = {"host": "localhost:8003", **{name.replace("_", "-"): value for name, value in headers.items()}}
    policy = OriginPolicy(settings or Settings(), 8003)
    return respond(HttpRequest(method, target, named), view or controllable(), policy, guard)


def controllable() -> StubView:
    view = StubView()
    view.controllable = True
    return view


def told(found: HttpResponse) -> dict[str, object]:
    assert isinstance(found.body, bytes)
    body: dict[str, object] = json.loads(found.body)
    return body


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["pause", "resume", "check"])
def test_a_request_is_accepted_and_repeated_in_the_response(action: str) -> None:
    view = controllable()
    found = ask(f"/control/local/{action}", view=view)
    assert found.status == 202
    assert told(found) == {"pipeline_id": "local", "action": action, "file": None}
    assert view.calls == [("control", "local", Action(action), None)]


@pytest.mark.parametrize(("name", "action"), [("retry", "retry"), ("postpone", "postpone"), ("cancel", "postpone")])
def test_a_file_is_named_by_its_id(name: str, action: str) -> None:
    view = controllable()
    found = ask(f"/control/local/{name}?file=a%2Fb%20c%26.pdf", view=view)
    assert told(found) == {"pipeline_id": "local", "action": action, "file": "a/b c&.pdf"}
    assert view.calls == [("control", "local", Action(action), "a/b c&.pdf")]


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/control/local/retry", "retry is about one file: expected ?file= with its id"),
        ("/control/local/cancel?file=", "postpone is about one file: expected ?file= with its id"),
        ("/control/local/pause?file=a", "pause is about the whole pipeline: expected no file"),
        ("/control/local/retry?files=a", "unknown parameter 'files': expected file or count"),
        ("/control/local/check?count=3", "check takes no count: expected no count"),
        ("/control/local/confirm?count=all", "count: expected the number of deletions that are held"),
        ("/control/local/retry?file=a&file=b", "file is given as 'a' and as 'b': expected it once"),
    ],
)
def test_an_invalid_query_is_400(target: str, error: str) -> None:
    view = controllable()
    found = ask(target, view=view)
    assert (found.status, told(found), view.calls) == (400, {"error": error}, [])


def test_an_unknown_pipeline_is_the_same_404_as_for_its_status() -> None:
    found = ask("/control/a%2Fb/pause")
    assert (found.status, found.body) == (404, ask("/status/a%2Fb", "GET").body)


@pytest.mark.parametrize("target", ["/control", "/control/local", "/control/local/stop", "/control/local/pause/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_other_path_is_404(target: str, method: str) -> None:
    assert ask(target, method).status == 404


def test_a_request_that_can_not_be_done_now_is_409_with_the_reason() -> None:
    view = controllable()
    view.error = ControlError("a.pdf has not failed")
    found = ask("/control/local/retry?file=a.pdf", view=view)
    assert (found.status, told(found)) == (409, {"error": "a.pdf has not failed"})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_405_with_allow(method: str) -> None:
    view = controllable()
    found = ask(PAUSE, method, view)
    assert (found.status, found.headers["Allow"], view.calls) == (405, "POST, OPTIONS", [])


def test_only_the_preflight_of_control_allows_post() -> None:
    origin = "http://localhost:3000"
    assert ask(PAUSE, "OPTIONS", origin=origin).headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert "POST" not in ask("/status", "OPTIONS", origin=origin).headers["Access-Control-Allow-Methods"]


# -- who may send ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guard", [OPEN, GUARD], ids=["open", "guarded"])
def test_control_is_refused_unless_it_is_enabled(guard: Guard) -> None:
    view = StubView()
    found = ask(PAUSE, view=view, guard=guard, authorization=BEARER)
    assert (found.status, told(found), view.calls) == (403, {"error": control.OFF}, [])
    assert "STATUS_CONTROL=1" in control.OFF


@pytest.mark.parametrize("authorization", ["", "Bearer wrong-token-of-a-stranger", f"Basic {TOKEN}"])
def test_a_required_token_must_be_valid_and_in_the_header(authorization: str) -> None:
    view = controllable()
    assert ask(PAUSE, view=view, guard=GUARD, authorization=authorization).status == 401
    assert ask(f"{PAUSE}?access_token={TOKEN}", view=view, guard=GUARD).status == 401
    assert view.calls == []
    assert ask(PAUSE, view=view, guard=GUARD, authorization=BEARER).status == 202


def test_a_limited_token_controls_only_visible_pipelines() -> None:
    view = controllable()
    view.state = {**view.state, "pipeline_type": "local_files"}
    mine = f"Bearer {shared(namespaces=['/local_files'])}"
    other = f"Bearer {shared(namespaces=['/google_drive'])}"
    assert ask(PAUSE, view=view, guard=GUARD, authorization=other).status == 404
    assert view.calls == []
    assert ask(PAUSE, view=view, guard=GUARD, authorization=mine).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://evil.test", "sec_fetch_site": "same-origin"},
        {"origin": "null"},
        {"origin": "http://localhost:8005", "sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        # DNS rebinding: another site's name that points here is same-origin for the browser.
        {"origin": "http://evil.test:8003", "host": "evil.test:8003", "sec_fetch_site": "same-origin"},
    ],
)
def test_pages_of_other_sites_can_not_control_pipelines(headers: dict[str, Any]) -> None:
    view = controllable()
    found = ask(PAUSE, view=view, **headers)
    assert (found.status, told(found), view.calls) == (403, {"error": control.STRANGER}, [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin", "origin": "http://localhost:8003"},
        {"sec_fetch_site": "same-site", "origin": "http://localhost:3000"},
        {"origin": "http://192.168.1.5:8003", "host": "192.168.1.5:8003"},
        {"origin": "http://[fe80::1]:8003", "host": "[fe80::1]:8003"},
        {"origin": "https://app.example.com", "sec_fetch_site": "cross-site"},
    ],
)
def test_programs_and_pages_of_allowed_origins_can_control_pipelines(headers: dict[str, Any]) -> None:
    named = Settings(origins=("https://app.example.com",))
    assert ask(PAUSE, settings=named, **headers).status == 202


def test_a_star_origin_allows_reading_but_not_control() -> None:
    star = Settings(origins=("*",))
    assert ask("/status", "GET", settings=star, origin="http://evil.test").status == 200
    assert ask(PAUSE, settings=star, origin="http://evil.test").status == 403


def test_a_request_with_a_token_needs_an_allowed_origin_only_if_it_has_one() -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, 202),
        ({"sec_fetch_site": "cross-site"}, 202),
        ({"origin": "https://status.test", "host": "status.test", "x_forwarded_proto": "https"}, 202),
        ({"origin": "http://evil.test"}, 403),
    ]
    for headers, status in cases:
        assert ask(PAUSE, guard=GUARD, authorization=BEARER, **headers).status == status


@given(
    st.text(max_size=30) | st.sampled_from(["http://localhost:3000", "http://evil.test"]),
    st.text(max_size=30) | st.sampled_from(["evil.test", "localhost:8003"]),
    st.sampled_from(["cross-site", "same-site", "same-origin", "none", "x"]),
)
def test_no_unlisted_origin_gets_through(origin: str, host: str, site: str) -> None:
    view = controllable()
    ask(PAUSE, view=view, origin=origin, host=host, sec_fetch_site=site)
    named = origin.lower().rstrip(":0123456789").endswith(("localhost", "127.0.0.1", "[::1]"))
    if not named:
        assert view.calls == []


# -- a real service ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pipeline() -> PipelineStatus:
    made = new_pipeline("local_files")
    made.control = Control()
    return made


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, new_pipeline("google_drive"), control=True) as served:
        yield served


def is_paused(pipeline: PipelineStatus) -> bool:
    assert pipeline.control is not None
    return pipeline.control.paused


def post(server: StatusServer, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, object]]:
    status, received, text = request(server.http_port, path, "POST", body, **headers)
    check_answer(path, status, received, text, "POST")
    return status, json.loads(text)


def test_a_request_over_http_reaches_the_pipeline(
    server: StatusServer, pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    name = pipeline.pipeline_id
    assert pipeline.control is not None
    with caplog.at_level(logging.INFO, "rag_pipeline.control"):
        assert post(server, f"/control/{name}/pause")[0] == 202
    assert is_paused(pipeline)
    assert [record.getMessage() for record in caplog.records] == [f"{name}: asked over HTTP to pause"]
    assert post(server, f"/control/{name}/check") == (409, {"error": "the pipeline is paused: resume it first"})
    assert post(server, f"/control/{name}/resume")[0] == 202
    assert not is_paused(pipeline)
    assert post(server, f"/control/{name}/retry?file=a.pdf", b'{"ignored": true}')[0] == 202
    assert [tuple(asked) for asked in pipeline.control.take()] == [(Action.RETRY, "a.pdf", None)]


def test_a_body_is_not_read_and_never_parsed_as_a_request(server: StatusServer, pipeline: PipelineStatus) -> None:
    smuggled = f"POST /control/{pipeline.pipeline_id}/pause HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    outer = f"POST /control/x/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(smuggled)}\r\n\r\n".encode()
    received = exchange(server.http_port, outer + smuggled)
    assert received.count(b"HTTP/1.1 ") == 1
    assert not is_paused(pipeline)


def test_a_pipeline_that_takes_no_requests_is_409(server: StatusServer) -> None:
    other = server.pipelines()[1].pipeline_id
    assert post(server, f"/control/{other}/pause") == (
        409,
        {"error": f"{other} is a pipeline that takes no requests"},
    )
    assert post(server, "/control/nobody/pause")[0] == 404


@needs_redis
def test_a_pipeline_of_another_process_is_409(pipeline: PipelineStatus, tmp_path: Path) -> None:
    name = pipeline.pipeline_id
    with (
        running(tmp_path) as redis,
        serving(pipeline, redis_url=redis.url),
        serving(redis_url=redis.url, control=True) as elsewhere,
    ):
        pipeline.update(status="idle")
        wait_until(lambda: request(elsewhere.http_port, f"/status/{name}")[0] == 200)
        told = f"{name} runs in another process: ask the service that runs beside it"
        assert post(elsewhere, f"/control/{name}/pause") == (409, {"error": told})
        assert not is_paused(pipeline)


def test_a_real_service_refuses_control_by_default(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        assert post(server, f"/control/{pipeline.pipeline_id}/pause") == (403, {"error": control.OFF})
        assert not is_paused(pipeline)
