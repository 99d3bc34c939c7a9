"""Both outlets: order, and a disconnect that is logged once."""

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
def test_a_disconnect_ends_the_client_and_logs_the_reason_once(caplog: pytest.LogCaptureFixture, direct: bool) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, direct=direct) as server, WebSocketSession(server.socket_port) as client:
        client.receive()
        [subscriber] = server._sockets.hub.subscribers()
        on_the_hub(server, lambda: subscriber.outlet.disconnect("the test says so"))
        with pytest.raises(ClientClosedError):
            client.receive()
        wait_until(lambda: clients(server)["total"] == 0)
        pipeline.update(status="running")
        with WebSocketSession(server.socket_port) as again:
            again.follow(pipeline)
    records = [r for r in caplog.records if "the test says so" in r.getMessage()]
    assert [r.levelno for r in records] == [logging.WARNING]


@pytest.mark.parametrize("direct", [True, False])
def test_clients_and_health_show_events_that_a_full_mailbox_has_dropped(
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
        payloads: list[JsonDict] = []
        while not payloads or payloads[-1]["seq"] != 201:
            payloads.append(client.receive_event()[2])
        jumps = [two.get("gap") for one, two in itertools.pairwise(payloads) if two["seq"] > one["seq"] + 1]
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
