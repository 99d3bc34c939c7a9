"""Health proves that the queues move: a part that stands still is named, and how long the oldest item has waited."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline import StatusServer, checks
from rag_pipeline.probe import ProbeResult
from tests.hanging import hanging_disk
from tests.live import ask, wait_until
from tests.socket_server.support import new_pipeline, serving


def health(server: StatusServer) -> tuple[int, dict[str, Any]]:
    status, body = ask(server.http_port, "/health")
    return status, body


def wait_for(server: StatusServer, condition: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def holds() -> bool:
        status, body = health(server)
        found.append(body)
        return condition(status, body)

    wait_until(holds)
    return found[-1]


def test_a_service_that_is_well_says_how_long_items_wait(tmp_path: Path) -> None:
    with serving(new_pipeline(), state_dir=tmp_path) as server:
        body = wait_for(server, lambda _, told: told["socket_io"]["queued"] == told["journal"]["queued"] == 0)
        assert body["status"] == "ok"
        assert 0 <= body["socket_io"]["oldest_waiting_seconds"] < 2
        assert 0 <= body["journal"]["oldest_waiting_seconds"] < 2
        assert (body["socket_io"]["queued"], body["journal"]["queued"]) == (0, 0)


def test_a_journal_in_memory_has_no_writer_to_wait_for() -> None:
    with serving(new_pipeline()) as server:
        assert "oldest_waiting_seconds" not in health(server)[1]["journal"]


def test_a_hub_that_is_not_woken_is_down_though_the_loop_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        monkeypatch.setattr(server._sockets.handover, "rearm", lambda: None)
        # The loop makes its turns, but what is handed over is not taken.
        monkeypatch.setattr(server._sockets.handover, "take", lambda: None)
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
        server._sockets.handover._wake_up.signal()
        wait_for(server, lambda status, body: status == 200 and body["status"] == "ok")


@pytest.mark.parametrize(("others", "expected"), [(1, (200, "degraded")), (0, (503, "down"))])
def test_a_question_that_waits_behind_others_that_are_accepted_is_no_death(
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

        monkeypatch.setattr(checks, "probe", probe)
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
        assert server._keeper.stop() is None
        pipeline.update(status="running")
        body = wait_for(server, lambda status, _: status == 503)
        assert body["journal"]["error"] == "the journal's writer has ended"


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::1", "::", "127.0.0.2"])
def test_health_asks_the_address_that_was_bound(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
