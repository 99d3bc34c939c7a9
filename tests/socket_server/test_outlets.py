"""Both outlets: what is sent goes out in order, and a disconnect is said once."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import pytest

from rag_pipeline.common import native
from rag_pipeline.service import StatusServer
from tests.socket_server.support import (
    ClientClosedError,
    JsonDict,
    WebSocketSession,
    clients,
    new_pipeline,
    request,
    serving,
    wait_until,
)


@pytest.mark.parametrize("direct", [True, False])
def test_a_disconnect_ends_that_client_and_says_why_once(caplog: pytest.LogCaptureFixture, direct: bool) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, direct=direct) as server, WebSocketSession(server.socket_port) as client:
        client.receive()
        on_the_hub(server, lambda: server._sockets.hub.disconnect_all("the test says so"))
        with pytest.raises(ClientClosedError):
            client.receive()
        wait_until(lambda: clients(server)["total"] == 0)
        pipeline.update(status="running")
        with WebSocketSession(server.socket_port) as again:
            again.follow(pipeline)
    said = [r for r in caplog.records if "the test says so" in r.getMessage()]
    assert [r.levelno for r in said] == [logging.WARNING]


@pytest.mark.parametrize("direct", [True, False])
def test_what_an_overfull_hand_over_drops_is_told_to_every_client_and_in_health(
    caplog: pytest.LogCaptureFixture, direct: bool
) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, direct=direct) as server, WebSocketSession(server.socket_port) as client:
        client.receive()
        hold = native.Future()
        server._sockets.hub.mailbox._limit = 130
        server._sockets.hub.call(lambda: wait_for(hold))
        for n in range(200):
            pipeline.skip_file(f"f{n}", "no text")
        dropped = server._sockets.hub.mailbox.dropped
        hold.set()
        wait_until(lambda: not len(server._sockets.hub.mailbox))
        pipeline.update(status="idle")
        told: list[JsonDict] = []
        while not told or told[-1]["seq"] != 201:
            told.append(client.receive_event()[2])
        jumps = [two.get("gap") for one, two in itertools.pairwise(told) if two["seq"] > one["seq"] + 1]
        assert jumps == [True]
        health = server.health()
        journal = health.body["journal"]
        assert health.ok
        assert health.body["status"] == journal["status"] == "degraded"  # type: ignore[index]
        assert journal["dropped"] >= dropped > 0  # type: ignore[index]
        files = json.loads(request(server.http_port, "/files")[2])
        assert files["complete"] is False
    assert len([r for r in caplog.records if "events were dropped" in r.getMessage()]) == 1


def on_the_hub(server: StatusServer, function: Any) -> None:
    done: list[bool] = []
    server._sockets.hub.call(function)
    server._sockets.hub.call(lambda: done.append(True))
    wait_until(lambda: bool(done))


def wait_for(gate: native.Future) -> None:
    assert gate.wait(30)
