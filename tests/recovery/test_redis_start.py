"""Starts with Redis: only the pipelines of dead processes are waited for, and live processes keep theirs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.status.pipeline import core_of
from tests.journal import redis_server
from tests.journal.redis_server import RedisServer, following, publishing
from tests.support.http_get import get_json
from tests.support.ports import free_port_pair
from tests.support.programs import Program
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, redis_server.needs_redis]

NAMES = [f"started-{n}" for n in range(6)]

PROGRAM = """
import sys
from rag_pipeline import PipelineStatus, start_status_server
pipelines = [PipelineStatus("local_files", name) for name in sys.argv[2:]]
with start_status_server(int(sys.argv[1]), pipelines=pipelines) as server:
    for pipeline in pipelines:
        pipeline.add_processing_file("a")
        pipeline.update(status="running")
    print("started", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as server:
        yield server


def _program(redis: RedisServer, port: int, *names: str) -> Program:
    return Program("-c", PROGRAM, str(port), *names, env={"STATUS_REDIS_URL": redis.url})


def _kill(redis: RedisServer, *names: str) -> None:
    with _program(redis, 0, *names) as first:
        first.expect("started")
        connection = redis.connection()
        wait_until(lambda: all(connection.call("HGET", RedisKeys().pipeline(name), "seq") == "2" for name in names))
        connection.close()
        first.signal(signal.SIGKILL)
        first.exit_code()


def _status(port: int) -> dict[str, int]:
    """Return ``seq`` of each shown pipeline; nothing while HTTP does not answer."""
    with suppress(OSError):
        body = get_json(port, "/status").body
        states = body.get("pipelines", {body.get("pipeline_id"): body})
        return {name: state["seq"] for name, state in states.items()}
    return {}


def test_http_answers_while_the_leases_of_a_killed_process_are_waited_for(redis: RedisServer) -> None:
    _kill(redis, *NAMES)
    port = free_port_pair()
    with _program(redis, port, *NAMES) as again:
        wait_until(lambda: _status(port), "an answer")
        assert _status(port) == dict.fromkeys(NAMES, 2), "meanwhile their saved states are shown"
        assert get_json(port, "/health").status == 200
        assert "started" not in again.output
        again.expect("started")
        # Each pipeline had a file in flight, which failed and is tried again.
        wait_until(lambda: _status(port) == dict.fromkeys(NAMES, 5))
        assert get_json(port, "/health").body["status"] == "ok"


def test_a_pipeline_whose_id_is_free_does_not_wait_for_those_that_are_held(redis: RedisServer) -> None:
    _kill(redis, "held")
    with publishing(redis.url) as publisher, following(redis.url) as follower:
        request = publisher.claim(["free", "held"])
        assert publisher.held(request) == {"held"}
        free, held = PipelineStatus("local_files", "free"), PipelineStatus("local_files", "held")
        core_of(free).attach(publisher)
        core_of(held).attach(publisher)
        free.update(status="running")
        held.update(status="running")
        wait_until(lambda: follower.seqs("free") == [1])
        connection = redis.connection()
        beats = set()
        while request.held:
            beats.add(connection.call("ZSCORE", RedisKeys().pipelines, "free"))
        assert len(beats) > 1, "its heartbeats continue"
        connection.close()
        publisher.wait(request)
        wait_until(lambda: follower.seqs("held") == [1])


def test_a_live_process_keeps_its_pipelines_and_the_second_process_names_it(redis: RedisServer) -> None:
    port = free_port_pair()
    with _program(redis, 0, "one") as first:
        first.expect("started")
        with _program(redis, port, "another", "one") as second:
            second.expect(r"JournalError: pipeline 'one' is published by process \d+ on host .+ already")
            assert second.exit_code() == 1
            assert "started" not in second.output
        connection = redis.connection()
        assert connection.call("EXISTS", RedisKeys().owner("another")) == 0, "its lease is released"
        connection.close()
    with _program(redis, 0, "another", "one") as third:
        third.expect("started")


def test_a_frozen_redis_does_not_stop_the_servers_from_starting(redis: RedisServer) -> None:
    redis.freeze()
    port = free_port_pair()
    with _program(redis, port, *NAMES) as program:
        program.expect("started")
        assert get_json(port, "/health").body["status"] == "degraded"
        redis.thaw()
        wait_until(lambda: get_json(port, "/health").body["status"] == "ok")
