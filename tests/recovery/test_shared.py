"""Processes that share a Redis: every server shows every pipeline, and clients may change servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.journal import redis_server
from tests.journal.redis_server import RedisServer
from tests.recovery.processes import Shared, Wanderer
from tests.socket_server.support import in_threads
from tests.support.http_get import get_json
from tests.support.state_client import without_volatile
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, redis_server.needs_redis]

FILES = 100
EVENTS = 2 + 3 * FILES
CLIENTS = 100


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as server:
        yield server


def test_three_pipelines_two_servers_and_a_hundred_moving_clients(redis: RedisServer) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(Shared(redis.url, "serve")) for _ in range(2)]
        names = ["one", "two", "three"]
        pipelines = [stack.enter_context(Shared(redis.url, "pipeline", name, str(FILES))) for name in names]
        ports = [server.socket_port for server in servers]
        clients = [Wanderer(number) for number in range(CLIENTS)]

        everyone = threading.Barrier(CLIENTS + 1)

        def follow(number: int) -> None:
            if number == CLIENTS:
                everyone.wait(60)
                for pipeline in pipelines:
                    pipeline.go()
            else:
                clients[number].meet(ports, names)
                everyone.wait(60)
                clients[number].follow(ports, dict.fromkeys(names, EVENTS))

        in_threads(CLIENTS + 1, follow)
        for pipeline in pipelines:
            pipeline.done()
        for server in servers:
            states = get_json(server.http_port, "/status").body["pipelines"]
            assert sorted(states) == sorted(names)
            for client in clients:
                for name, state in states.items():
                    picture = client.pictures[name].state
                    assert picture is not None
                    assert without_volatile(picture) == without_volatile(state)
        recovered = [recovered for client in clients for recovered in client.recovered]
        assert all(recovered)
        assert recovered
        connected = sum(client.connected for client in clients)
        assert connected > 2 * CLIENTS
        received = sum(client.received for client in clients)
        print(f"{received} events received by {CLIENTS} clients in {connected} connections")


def test_a_pipeline_that_dies_is_shown_as_stalled_and_comes_back(redis: RedisServer) -> None:
    quick = {"STATUS_HEARTBEAT_SECONDS": "3"}
    with Shared(redis.url, "serve", env=quick) as server:
        with Shared(redis.url, "pipeline", "dying", "1", env=quick) as pipeline:
            pipeline.go()
            pipeline.done()
            client = Wanderer(1)
            client.follow([server.socket_port], {"dying": 5}, restless=0)
            pipeline.kill()

        def status() -> str:
            body = get_json(server.http_port, "/status").body
            return str(body.get("status"))

        assert status() == "idle"
        wait_until(lambda: status() == "stalled")
        with Shared(redis.url, "pipeline", "dying", "2", env=quick) as pipeline:
            pipeline.go()
            pipeline.done()
            wait_until(lambda: status() == "idle")
            state = get_json(server.http_port, "/status").body
            assert state["seq"] == 5 + 2 + 6
            assert state["total_processed"] + state["total_failed"] == 2  # the interrupted file was tried again


def test_a_second_process_with_one_id_is_refused(redis: RedisServer) -> None:
    with Shared(redis.url, "pipeline", "same", "1"), pytest.raises(AssertionError, match="it ended with 1 before"):
        Shared(redis.url, "pipeline", "same", "1")


def test_clients_stay_connected_while_redis_is_away_and_then_get_everything(redis: RedisServer) -> None:
    with Shared(redis.url, "serve") as server, Shared(redis.url, "pipeline", "outlasting", str(FILES)) as pipeline:
        wait_until(lambda: get_json(server.http_port, "/health").body["journal"]["status"] == "ok")
        client = Wanderer(1)

        def follow(number: int) -> None:
            if number == 0:
                client.follow([server.socket_port], {"outlasting": EVENTS}, restless=0)
                return
            redis.kill()
            pipeline.go()
            pipeline.done()
            wait_until(lambda: get_json(server.http_port, "/health").body["status"] == "degraded")
            assert get_json(server.http_port, "/health").status == 200
            redis.start()

        in_threads(2, follow)
        assert client.recovered == [], "it was never disconnected"
        wait_until(lambda: get_json(server.http_port, "/health").body["status"] == "ok")


def test_a_redis_that_comes_back_empty_makes_clients_start_over_with_a_gap(redis: RedisServer) -> None:
    with Shared(redis.url, "serve") as server, Shared(redis.url, "pipeline", "emptied", "3") as pipeline:
        pipeline.go()
        pipeline.done()
        wait_until(lambda: get_json(server.http_port, "/status").body.get("status") == "idle")
        redis.restart(empty=True)
        wait_until(lambda: get_json(server.http_port, "/health").body["status"] == "ok")
        wait_until(lambda: get_json(server.http_port, "/status").body.get("status") == "idle")
        # The old state may be shown until the server notices, then none until the pipeline has published its own.
        wait_until(lambda: get_json(server.http_port, "/status").body.get("total_processed") == 2)
