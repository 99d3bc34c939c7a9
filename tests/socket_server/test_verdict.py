"""The verdict of a file, seen from outside: a stock Socket.IO client, HTTP, a token's view, and after a restart."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.common.config import AuthSettings
from rag_pipeline.service import StatusServer
from tests.access.signing import SECRET, shared
from tests.contract.checking import check_event
from tests.socket_server.support import serving
from tests.support.http_get import get_json
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

WARNING = {"type": "pages_without_text", "message": "9 of 10 pages have no text (scanned?)", "count": 9}
QUALITY = {"pages": 10, "pages_without_text": 9, "characters": 1234, "odd_characters": 0.0025}


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", "verdicts")


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with start_status_server(0, pipelines=[pipeline]) as running:
        yield running


def work(pipeline: PipelineStatus) -> None:
    with pipeline.processing("scan.pdf", "1") as file:
        file.warn(**WARNING)  # type: ignore[arg-type]
        file.set_quality(QUALITY)
    pipeline.complete_file("good.md", file_id="2", quality={"characters": 7})
    pipeline.complete_file("bad.pdf", success=False, file_id="3", error="no text")


def names(server: StatusServer, query: str) -> list[str]:
    files: list[dict[str, Any]] = get_json(server.http_port, f"/files?{query}").body["files"]
    return [file["name"] for file in files]


def test_a_stock_client_gets_the_verdict_in_event_and_state(server: StatusServer, pipeline: PipelineStatus) -> None:
    received: list[tuple[str, dict[str, Any]]] = []
    client = socketio.Client(reconnection=False, handle_sigint=False)
    for name in ("pipeline:status", "pipeline:file_completed"):
        client.on(name, lambda payload, name=name: received.append((name, payload)), namespace="/pipeline")
    client.connect(f"http://127.0.0.1:{server.socket_port}", namespaces=["/pipeline"])
    wait_until(lambda: received != [])
    assert received[0][1]["total_with_warnings"] == 0
    work(pipeline)
    wait_until(lambda: received[-1][0] == "pipeline:status" and received[-1][1]["total_failed"] == 1)
    client.disconnect()
    for name, payload in received:
        check_event(name, payload)
    ended = [payload for name, payload in received if name == "pipeline:file_completed"]
    assert (ended[0]["file"]["warnings"], ended[0]["file"]["quality"]) == ([WARNING], QUALITY)
    assert (ended[1]["file"]["warnings"], ended[1]["file"]["quality"]) == ([], {"characters": 7})
    assert [payload["totals"]["total_with_warnings"] for payload in ended] == [1, 1]
    assert received[-1][1]["files_completed"][0]["warnings"] == [WARNING]
    assert received[-1][1]["total_with_warnings"] == 1


def test_files_are_filtered_by_their_warnings(server: StatusServer, pipeline: PipelineStatus) -> None:
    work(pipeline)
    wait_until(lambda: len(names(server, "")) == 3)
    (row,) = get_json(server.http_port, "/files?warnings=true").body["files"]
    assert (row["name"], row["status"], row["warnings"], row["quality"]) == (
        "scan.pdf",
        "completed",
        [WARNING],
        QUALITY,
    )
    assert names(server, "warnings=false") == ["bad.pdf", "good.md"]
    assert names(server, "warnings=true&status=failed") == []
    assert names(server, "warnings=false&status=completed&q=goo") == ["good.md"]
    assert names(server, "warnings=true&q=scan&pipeline_id=verdicts") == ["scan.pdf"]
    assert get_json(server.http_port, "/status").body["total_with_warnings"] == 1
    pipeline.complete_file("scan.pdf", file_id="1")
    wait_until(lambda: names(server, "warnings=true") == [])
    assert get_json(server.http_port, "/status").body["total_with_warnings"] == 0


def test_a_restart_keeps_verdicts_and_counts(tmp_path: Path) -> None:
    for total in (1, 1, 0):
        pipeline = PipelineStatus("local_files", "verdicts")
        with start_status_server(0, pipelines=[pipeline], state_dir=tmp_path) as server:
            if names(server, "") == []:
                work(pipeline)
            pipeline.update(status="idle")
            state = get_json(server.http_port, "/status").body
            assert (state["total_processed"], state["total_with_warnings"]) == (2, 1)
            assert [file["warnings"] for file in state["files_completed"]] == [[WARNING], []]
            wait_until(lambda server=server: names(server, "warnings=true") == ["scan.pdf"])  # type: ignore[misc]
            if total == 0:
                pipeline.complete_file("scan.pdf", file_id="1")
                assert get_json(server.http_port, "/status").body["total_with_warnings"] == 0
        pipeline.close()


def test_a_token_sees_the_warnings_of_its_pipelines_only() -> None:
    drive, files = PipelineStatus("google_drive", "drive"), PipelineStatus("local_files", "files")
    token = shared(namespaces=["/local_files"])
    with serving(drive, files, auth=AuthSettings(jwt_secret=SECRET)) as server:
        for pipeline in (drive, files):
            pipeline.complete_file(f"{pipeline.pipeline_id}.pdf", warnings=["odd"])

        def seen() -> list[str]:
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.http_port}/files?warnings=true", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(request) as answer:
                return [file["name"] for file in json.load(answer)["files"]]

        wait_until(lambda: seen() == ["files.pdf"])
