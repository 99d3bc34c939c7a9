"""Tokens over HTTP, with a real service: what each one can see, and until when."""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.common.config import AuthSettings
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.access.signing import SECRET, key_set, public_jwk, publishing, shared, signed
from tests.socket_server.support import new_pipeline, request, serving
from tests.support.waiting import wait_until

TOKEN = "a-token-of-the-house"
AUTH = AuthSettings(tokens=(TOKEN,), jwt_secret=SECRET)
GUARDED = ("/status", "/events", "/files", "/metrics")


@pytest.fixture
def local() -> PipelineStatus:
    return new_pipeline("local_files")


@pytest.fixture
def drive() -> PipelineStatus:
    return new_pipeline("google_drive")


@pytest.fixture
def server(local: PipelineStatus, drive: PipelineStatus, tmp_path: Path) -> Iterator[StatusServer]:
    """Show two pipelines, each with a file that fails, and wait until the journal has both."""
    with serving(local, drive, auth=AUTH, state_dir=tmp_path) as running:
        for pipeline, name in ((local, "local-plan.pdf"), (drive, "drive-plan.pdf")):
            pipeline.add_processing_file(name, name)
            pipeline.complete_file(name, False, file_id=name, error=f"{name} is damaged")
        wait_until(lambda: len(get(running, "/files", TOKEN)["files"]) == 2)
        yield running


def ask(
    server: StatusServer, path: str, token: str | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return request(server.http_port, path, method, None, **headers)


def get(server: StatusServer, path: str, token: str) -> Any:
    status, _, body = ask(server, path, token)
    assert status == 200, body
    return json.loads(body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "token", [None, "wrong-token-of-a-stranger", shared(seconds=-1)], ids=["none", "wrong", "late"]
)
def test_without_a_token_no_pipeline_or_file_is_visible(
    server: StatusServer, local: PipelineStatus, token: str | None, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for path in (*GUARDED, f"/status/{local.pipeline_id}", "/files?q=plan", "/files?limit=plan", "/health", "/nowhere"):
        status, headers, body = ask(server, path, token, method)
        assert status == {"/health": 200, "/nowhere": 404}.get(path, 401)
        assert headers.get("www-authenticate", "Bearer").startswith("Bearer")
        assert ("www-authenticate" in headers) is (status == 401)
        for secret in ("-plan", local.pipeline_id, TOKEN, SECRET, token or TOKEN):
            assert secret not in body.replace("/files?q=plan", "")
            assert secret not in str(headers)
    for secret in ("-plan", TOKEN, SECRET, token or TOKEN):
        assert secret not in caplog.text


@pytest.mark.slow
def test_health_without_a_token_is_only_the_status(server: StatusServer, local: PipelineStatus) -> None:
    assert [ask(server, "/health", token)[2] for token in (None, "wrong-token-of-a-stranger")] == [
        '{"status":"ok"}\n'
    ] * 2
    body = get(server, "/health", TOKEN)
    assert body["socket_io"]["status"] == "ok"
    assert body["clients"]["total"] == 0
    assert local.pipeline_id in body["pipelines"]
    server._sockets.stop()
    wait_until(lambda: ask(server, "/health")[0] == 503)
    assert ask(server, "/health")[2] == '{"status":"down"}\n'


def test_a_token_gives_access_to_everything(server: StatusServer, local: PipelineStatus, drive: PipelineStatus) -> None:
    for token in (TOKEN, shared()):
        assert list(get(server, "/status", token)["pipelines"]) == [local.pipeline_id, drive.pipeline_id]
        assert {event["data"]["pipeline_id"] for event in get(server, "/events", token)["events"]} == {
            local.pipeline_id,
            drive.pipeline_id,
        }
        assert ask(server, "/metrics", token)[0] == 200


def test_a_limited_token_sees_a_service_without_the_other_pipelines(
    server: StatusServer, local: PipelineStatus, drive: PipelineStatus
) -> None:
    token = shared(namespaces=["/local_files"])
    assert get(server, "/status", token) == local.get()
    assert get(server, f"/status/{local.pipeline_id}", token) == local.get()
    hidden, unknown = (ask(server, f"/status/{name}", token) for name in (drive.pipeline_id, "pipeline-none"))
    assert (hidden[0], unknown[0]) == (404, 404)
    assert hidden[2].replace(drive.pipeline_id, "X") == unknown[2].replace("pipeline-none", "X")
    assert [file["name"] for file in get(server, "/files", token)["files"]] == ["local-plan.pdf"]
    assert get(server, "/files?q=drive", token)["files"] == []
    assert get(server, f"/files?pipeline_id={drive.pipeline_id}", token) == {
        "files": [],
        "next": None,
        "complete": True,
    }
    assert list(get(server, "/health", token)["pipelines"]) == [local.pipeline_id]
    events = get(server, "/events?namespace=/local_files", token)["events"]
    assert {event["data"]["pipeline_id"] for event in events} == {local.pipeline_id}
    for path in ("/events", "/events?namespace=/google_drive", "/metrics"):
        status, headers, body = ask(server, path, token)
        assert status == 403
        assert 'error="insufficient_scope"' in headers["www-authenticate"]
        assert list(json.loads(body)) == ["error"]


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["/", "/pipeline"])
@pytest.mark.parametrize("query", ["", "?namespace=/pipeline", "?namespace=/", "?namespace=%2F"])
def test_a_token_for_all_pipelines_allows_both_names_of_the_namespace(
    server: StatusServer, local: PipelineStatus, drive: PipelineStatus, claim: str, query: str
) -> None:
    page = get(server, f"/events{query}", shared(namespaces=[claim]))
    assert {item["data"]["pipeline_id"] for item in page["events"]} == {local.pipeline_id, drive.pipeline_id}
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {shared(seconds=1.5, namespaces=claim)}"}
    status, _, body = request(server.http_port, f"/events{query}", "GET", None, **headers)
    assert (status, "drive-plan.pdf" in body, "local-plan.pdf" in body) == (200, True, True)
    assert ask(server, f"/events{query}", shared(namespaces=["/local_files"]))[0] == 403


@pytest.mark.slow
def test_a_stream_ends_when_its_token_expires(server: StatusServer, local: PipelineStatus) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {shared(seconds=5)}"}
    connection.request("GET", "/events", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    ticking = threading.Event()

    def tick() -> None:
        while not ticking.wait(0.01):
            local.update(own={"tick": time.time()})

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        text = answer.read().decode()  # up to its orderly end: a cut would raise
    finally:
        ticking.set()
        ticker.join()
        connection.close()
    assert "event: pipeline:status" in text
    assert server.health().body["clients"]["/pipeline"] == 0  # type: ignore[index]
    connection.request("GET", "/events", headers=headers)
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.slow
def test_a_stream_of_a_limited_token_has_only_its_namespace(server: StatusServer) -> None:
    token = shared(seconds=1.5, namespaces="google_drive")
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    assert request(server.http_port, "/events", "GET", None, **headers)[0] == 403
    status, _, body = request(server.http_port, "/events?namespace=/google_drive", "GET", None, **headers)
    assert status == 200
    assert "drive-plan.pdf" in body
    assert "local-plan" not in body


def test_an_unavailable_key_is_503_only_for_tokens_that_may_be_valid(local: PipelineStatus) -> None:
    with (
        publishing(b"no keys") as keys,
        serving(local, auth=AuthSettings(tokens=(TOKEN,), jwks_url=keys.url)) as server,
    ):
        status, headers, body = ask(server, "/status", signed())
        assert (status, headers["retry-after"]) == (503, "1")
        assert "error" in json.loads(body)
        assert [ask(server, "/status", token)[0] for token in (None, "wrong-token-of-a-stranger", TOKEN)] == [
            401,
            401,
            200,
        ]


def test_published_keys_verify_tokens(local: PipelineStatus) -> None:
    with (
        publishing(key_set(public_jwk("RS256"))) as keys,
        serving(local, auth=AuthSettings(jwks_url=keys.url)) as server,
    ):
        assert get(server, "/status", signed("RS256"))["pipeline_id"] == local.pipeline_id
        assert ask(server, "/status", signed("ES256"))[0] == 401
