"""Both outlets: what is sent goes out in order, and a disconnect is said once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rag_pipeline.service import StatusServer
from tests.socket_server.support import ClosedError, WebSocketSession, clients, new_pipeline, serving, wait_until


@pytest.mark.parametrize("direct", [True, False])
def test_a_disconnect_ends_that_client_and_says_why_once(caplog: pytest.LogCaptureFixture, direct: bool) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, direct=direct) as server, WebSocketSession(server.socket_port) as client:
        client.receive()
        on_the_hub(server, lambda: server._sockets.hub.disconnect_all("the test says so"))
        with pytest.raises(ClosedError):
            client.receive()
        wait_until(lambda: clients(server)["total"] == 0)
        pipeline.update(status="running")
        with WebSocketSession(server.socket_port) as again:
            again.follow(pipeline)
    said = [r for r in caplog.records if "the test says so" in r.getMessage()]
    assert [r.levelno for r in said] == [logging.WARNING]


@pytest.mark.parametrize("direct", [True, False])
def test_an_overflowed_hand_over_starts_every_client_afresh(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, direct=direct) as server, WebSocketSession(server.socket_port) as client:
        client.receive()
        monkeypatch.setattr(server._sockets.handover, "_limit", 0)
        pipeline.update(status="lost")
        monkeypatch.undo()
        pipeline.update(status="running")
        client.wait_for_end()
        with WebSocketSession(server.socket_port) as again:
            again.follow(pipeline)
    assert any("too far behind" in r.getMessage() for r in caplog.records)


def on_the_hub(server: StatusServer, function: Any) -> None:
    done: list[bool] = []
    server._sockets.hub.call(function)
    server._sockets.hub.call(lambda: done.append(True))
    wait_until(lambda: bool(done))
