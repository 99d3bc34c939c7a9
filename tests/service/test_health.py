"""Health names a part that is stuck, and tells how long its oldest item has waited."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline import StatusServer, start_status_server
from rag_pipeline.common.probe import ProbeResult
from rag_pipeline.service import health as health_module
from tests.service.support import connect
from tests.service.support import wait_for as hold
from tests.socket_server.support import new_pipeline, serving
from tests.support.hanging_disk import hanging_disk
from tests.support.http_get import get_json
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def health(server: StatusServer) -> tuple[int, dict[str, Any]]:
    status, body = get_json(server.http_port, "/health")
    return status, body


def wait_for(server: StatusServer, condition: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def holds() -> bool:
        status, body = health(server)
        found.append(body)
        return condition(status, body)

    wait_until(holds)
    return found[-1]


def test_a_healthy_service_reports_its_oldest_items(tmp_path: Path) -> None:
    with serving(new_pipeline(), state_dir=tmp_path) as server:
        body = wait_for(server, lambda _, told: told["socket_io"]["queued"] == told["journal"]["queued"] == 0)
        assert body["status"] == "ok"
        assert 0 <= body["socket_io"]["oldest_waiting_seconds"] < 2
        assert 0 <= body["journal"]["oldest_waiting_seconds"] < 2
        assert (body["socket_io"]["queued"], body["journal"]["queued"]) == (0, 0)


def test_a_journal_in_memory_has_no_writer() -> None:
    with serving(new_pipeline()) as server:
        assert "oldest_waiting_seconds" not in health(server)[1]["journal"]


def test_a_hub_that_takes_nothing_is_down_though_the_loop_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        monkeypatch.setattr(server._sockets.hub.mailbox, "rearm", lambda: None)
        # The loop makes its turns, but takes nothing from the mailbox.
        monkeypatch.setattr(server._sockets.hub.mailbox, "take", lambda: None)
        pipeline.update(status="running")
        since = time.monotonic()
        body = wait_for(server, lambda status, _: status == 503)
        assert (body["status"], body["socket_io"]["status"]) == ("down", "down")
        assert "answered_in_ms" in body["socket_io"]
        assert "the hub has taken nothing" in body["socket_io"]["error"]
        assert body["socket_io"]["queued"] > 0
        later = wait_for(server, lambda _, body: body["socket_io"]["oldest_waiting_seconds"] > 3)
        assert later["socket_io"]["oldest_waiting_seconds"] <= time.monotonic() - since + 2
        monkeypatch.undo()
        server._sockets.hub.mailbox._wake_up.signal()
        wait_for(server, lambda status, body: status == 200 and body["status"] == "ok")


@pytest.mark.parametrize(("others", "expected"), [(1, (200, "degraded")), (0, (503, "down"))])
def test_a_check_that_waits_behind_accepted_clients_does_not_mean_down(
    monkeypatch: pytest.MonkeyPatch, others: int, expected: tuple[int, str]
) -> None:
    with serving(new_pipeline()) as server:
        sockets = server._sockets

        def probe(*_: object, **__: object) -> ProbeResult:
            before = sockets.accepted
            for _other in range(others):
                socket.create_connection(("127.0.0.1", server.socket_port)).close()
            wait_until(lambda: sockets.accepted == before + others)
            return ProbeResult(None, None, 2.0, "no answer within 2 seconds")

        monkeypatch.setattr(health_module, "probe", probe)
        status, body = health(server)
        assert (status, body["socket_io"]["status"]) == expected
        assert "no answer within 2 seconds" in body["socket_io"]["error"]


def test_a_writer_whose_disk_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, state_dir=tmp_path) as server:
        with hanging_disk(monkeypatch) as hangs:
            pipeline.update(status="running")
            wait_for(server, lambda _, body: body["journal"]["queued"] == 0)
            hangs.set()
            pipeline.update(status="stuck")
            body = wait_for(server, lambda status, _: status == 503)
            assert (body["status"], body["journal"]["status"], body["socket_io"]["status"]) == ("down", "down", "ok")
            assert "the journal's writer has taken nothing" in body["journal"]["error"]
            wait_for(server, lambda _, body: body["journal"]["oldest_waiting_seconds"] > 3)
        wait_for(server, lambda status, body: status == 200 and body["status"] == "ok")


def test_a_writer_whose_thread_has_ended_is_named(tmp_path: Path) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, state_dir=tmp_path) as server:
        server._backend.stop()
        pipeline.update(status="running")
        body = wait_for(server, lambda status, _: status == 503)
        assert body["journal"]["error"] == "the journal's writer has ended"


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::1", "::", "127.0.0.2"])
def test_health_requests_the_bound_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import _socket

    resolve = _socket.getaddrinfo

    def six_first(name: object, *args: Any) -> Any:
        found = resolve(name, *args)  # type: ignore[arg-type]
        if name != "localhost":
            return found
        return [*resolve("::1", *args), *resolve("127.0.0.1", *args)]

    monkeypatch.setattr(_socket, "getaddrinfo", six_first)
    with serving(host=host) as server:
        for _ in range(2):
            result = server.health()
            assert (result.ok, result.body["status"]) == (True, "ok")


def test_health_counts_clients_and_lists_the_pipelines() -> None:
    pipeline = new_pipeline()
    with start_status_server(0, pipelines=[pipeline]) as server:
        with connect(server), connect(server, ["polling"]):
            pipeline.update(status="running")
            status, body = get_json(server.http_port, "/health")
        assert status == 200
        assert body["status"] == body["http"]["status"] == body["socket_io"]["status"] == "ok"
        assert body["socket_io"]["answered_in_ms"] > 0
        assert body["clients"] == {"total": 2, "/google_drive": 2, "/local_files": 2, "/pipeline": 4}  # "/", too
        state = pipeline.get()
        assert body["pipelines"] == {
            pipeline.pipeline_id: {"status": "running", "last_activity": state["last_activity"]}
        }


def test_health_is_503_once_the_socket_io_server_is_dead_while_status_works() -> None:
    pipeline = new_pipeline()
    with start_status_server(0, pipelines=[pipeline]) as server:
        assert get_json(server.http_port, "/health").status == 200
        server._sockets.stop()
        wait_until(lambda: get_json(server.http_port, "/health").status == 503)
        body = get_json(server.http_port, "/health").body
        assert body["status"] == body["socket_io"]["status"] == "down"
        assert body["http"]["status"] == "ok"
        assert body["clients"] is None
        assert "refused" in body["socket_io"]["error"]
        pipeline.update(status="still reporting")
        assert get_json(server.http_port, "/status").body["status"] == "still reporting"


def test_health_is_503_while_the_socket_io_loop_hangs() -> None:
    hang = threading.Event()
    with start_status_server(0, pipelines=[]) as server:
        server._sockets.hub.call(hold(hang))  # its one thread does nothing else meanwhile
        try:
            wait_until(lambda: get_json(server.http_port, "/health").status == 503)
            assert "no answer within" in get_json(server.http_port, "/health").body["socket_io"]["error"]
        finally:
            hang.set()
        wait_until(lambda: get_json(server.http_port, "/health").status == 200)
