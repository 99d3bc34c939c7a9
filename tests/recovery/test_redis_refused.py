"""Permanent refusals and foreign data in Redis: one log line, degraded health, and no other effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from rag_pipeline.journal import FileStatus
from rag_pipeline.journal.redis import retry
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.keys import RedisKeys, pairs
from tests.journal import redis_server
from tests.journal.redis_server import RedisServer
from tests.socket_server.support import WebSocketSession
from tests.support.http_get import get_json
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, redis_server.needs_redis]

KEYS = RedisKeys()
OF_ONE = [
    KEYS.files("one"), KEYS.pipeline("one"), KEYS.state("one"), KEYS.files_by_change("one", FileStatus.COMPLETED),
    "rag:recent:one:failed", "rag:attempts:one", KEYS.owner("one"),
]  # fmt: skip


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as server:
        monkeypatch.setenv("STATUS_REDIS_URL", server.url)
        yield server


@pytest.fixture
def connection(redis: RedisServer) -> Iterator[RedisConnection]:
    connection = redis.connection()
    yield connection
    connection.close()


@pytest.fixture
def pipelines() -> Iterator[list[PipelineStatus]]:
    made = [PipelineStatus("local_files", name) for name in ("one", "two")]
    yield made
    for pipeline in made:
        pipeline.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("retry", "claims"):
        monkeypatch.setattr(f"rag_pipeline.journal.redis.{module}.REFUSED_SECONDS", 0.5)


def journal_of(server: StatusServer) -> dict[str, str]:
    health = get_json(server.http_port, "/health")
    assert health.status == 200
    journal: dict[str, str] = health.body["journal"]
    assert journal["status"] == health.body["status"]
    return journal


def is_ok(server: StatusServer) -> bool:
    return journal_of(server)["status"] == "ok"


def seqs(connection: RedisConnection, pipeline_id: str) -> list[int]:
    """Return ``seq`` of each event in the stream, without summaries."""
    known = (pairs(fields) for _, fields in connection.call("XRANGE", KEYS.events, "-", "+"))
    return [int(one["seq"]) for one in known if one["pipeline_id"] == pipeline_id and one["numbered"] == "1"]


def scripts_run(connection: RedisConnection) -> int:
    """Return the number of script calls."""
    lines = connection.call("INFO", "commandstats").splitlines()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines if line.startswith("cmdstat_eval"))


def logged(caplog: pytest.LogCaptureFixture, *words: str) -> list[str]:
    return [line for line in caplog.messages if all(word in line for word in words)]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("taken", ["-hset", "-xtrim", "-xadd", "-evalsha", "-zadd", "-xread", "-xinfo"])
def test_a_revoked_permission_is_logged_once_and_nothing_is_lost_or_repeated(
    connection: RedisConnection, pipelines: list[PipelineStatus], caplog: pytest.LogCaptureFixture, taken: str
) -> None:
    with start_status_server(0, pipelines=pipelines) as server:
        one = pipelines[0]
        one.update(status="running")
        wait_until(lambda: seqs(connection, "one") == [1] and is_ok(server))
        connection.call("ACL", "SETUSER", "default", taken, "+acl", "+info", "+xrange")
        with WebSocketSession(server.socket_port) as session:
            session.receive_event()
            for n in range(5):
                one.add_processing_file(str(n))
            wait_until(lambda: not is_ok(server), "degraded health")
            wait_until(lambda: len(logged(caplog, "retried every")) == 1)
            connection.call("ACL", "SETUSER", "default", "+@all")
            wait_until(lambda: is_ok(server), "good health")
            one.update(status="idle")
            wait_until(lambda: seqs(connection, "one")[-1] == 7)
        assert seqs(connection, "one") == list(range(1, 8)), "nothing is missing or written twice"
        assert len(logged(caplog, "retried every")) == 1
        assert len(logged(caplog, "is back")) == 1
        assert not logged(caplog, "failed")
    assert ask_files(connection) == {str(n) for n in range(5)}


def ask_files(connection: RedisConnection) -> set[str]:
    return {key.partition(":")[2] for key in connection.call("HKEYS", KEYS.files("one"))}


def test_a_service_with_almost_no_permissions_starts_and_reports_it(
    redis: RedisServer, connection: RedisConnection, pipelines: list[PipelineStatus], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    connection.call("ACL", "SETUSER", "reader", "on", ">pw", "~rag:*", "+info", "+get")
    monkeypatch.setenv("STATUS_REDIS_URL", redis.url.replace("//", "//reader:pw@"))
    with start_status_server(0, pipelines=pipelines) as server:
        pipelines[0].update(status="running")
        wait_until(lambda: not is_ok(server))
        assert "refused a command" in journal_of(server)["error"]
        before = scripts_run(connection)
        wait_until(lambda: len(logged(caplog, "retried every")) == 1)
        pipelines[0].update(status="idle")
        assert scripts_run(connection) == before, "retries are rare"
    assert len(logged(caplog, "refused a command")) == 1
    assert "pw" not in caplog.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("key", OF_ONE)
def test_a_key_of_another_type_affects_only_its_pipeline(
    connection: RedisConnection, pipelines: list[PipelineStatus], caplog: pytest.LogCaptureFixture, key: str
) -> None:
    one, two = pipelines
    with start_status_server(0, pipelines=pipelines) as server:
        for pipeline in pipelines:
            pipeline.update(status="running")
        wait_until(lambda: seqs(connection, "one") == seqs(connection, "two") == [1])
        connection.call("DEL", key)
        connection.call("SADD", key, "a stranger's")
        for n in range(3):
            one.complete_file(str(n), n > 0)
            two.complete_file(str(n))
        wait_until(lambda: "WRONGTYPE" in journal_of(server).get("error", ""))
        wait_until(lambda: get_json(server.http_port, "/status/two").body["seq"] == 4)
        before = connection.call("ZSCORE", KEYS.pipelines, "two")
        wait_until(lambda: connection.call("ZSCORE", KEYS.pipelines, "two") != before, "a heartbeat of the other")
        connection.call("DEL", key)
        wait_until(lambda: is_ok(server))
        wait_until(lambda: seqs(connection, "one")[-1] == 4)
        assert seqs(connection, "two") == [1, 2, 3, 4]
        # If the saved state of the pipeline is gone, its state follows as a gap.
        assert seqs(connection, "one") == [1, 2, 3, 4, *([4] if key == KEYS.pipeline("one") else [])]
    assert len(logged(caplog, "pipeline 'one' can't be kept in Redis")) == 1
    assert "Traceback" not in caplog.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("key", [KEYS.events, KEYS.count, KEYS.pipelines, KEYS.identity])
def test_a_shared_key_of_another_type_is_logged_once_and_can_be_fixed_by_hand(
    connection: RedisConnection, pipelines: list[PipelineStatus], caplog: pytest.LogCaptureFixture, key: str
) -> None:
    one = pipelines[0]
    with start_status_server(0, pipelines=pipelines) as server:
        one.update(status="running")
        wait_until(lambda: seqs(connection, "one") == [1])
        connection.call("DEL", key)
        connection.call("SADD", key, "a stranger's")
        one.complete_file("a")
        wait_until(lambda: not is_ok(server))
        connection.call("DEL", key)
        wait_until(lambda: is_ok(server))
        one.complete_file("b")
        wait_until(lambda: get_json(server.http_port, "/status/one").body["seq"] == 3)
        kept = seqs(connection, "one")
        assert kept == sorted(set(kept))
    assert len(logged(caplog, "retried every")) <= 1
    assert "Traceback" not in caplog.text


def test_foreign_entries_in_the_stream_are_skipped_and_affect_nothing_else(
    connection: RedisConnection, pipelines: list[PipelineStatus], caplog: pytest.LogCaptureFixture
) -> None:
    one = pipelines[0]
    one.update(status="running")
    strange = _strange_entries()
    # The oldest entry is foreign too, and the snapshot of a new server begins among foreign entries.
    connection.call("XADD", KEYS.events, "*", "hello", "world")
    with start_status_server(0, pipelines=[one]) as server, WebSocketSession(server.socket_port) as session:
        session.receive_event()
        for n, entry in enumerate(strange):
            one.complete_file(str(n))
            connection.call("XADD", KEYS.events, "*", *entry)
        raw = connection._connection
        raw.send_packed_command(
            [b"*5\r\n$4\r\nXADD\r\n$10\r\nrag:events\r\n$1\r\n*\r\n$1\r\n\xff\r\n$2\r\n\xfe\xff\r\n"]
        )
        raw.read_response()
        one.update(status="idle")
        last = 2 + len(strange)
        wait_until(lambda: get_json(server.http_port, "/status/one").body["seq"] == last)
        seen: list[int] = []
        while not seen or seen[-1] < last:
            _, name, payload = session.receive_event()
            assert payload["pipeline_id"] == "one"
            assert "gap" not in payload
            if name != "pipeline:status" or payload["seq"] == last:
                seen.append(payload["seq"])
        assert seen == list(range(2, last + 1))
        page = get_json(server.http_port, "/events?limit=1000").body
        page = page["events"]
        assert [item["data"]["seq"] for item in page] == list(range(2, last + 1))
        assert is_ok(server)
        with start_status_server(0, pipelines=[]) as other:
            assert get_json(other.http_port, "/status/one").body["seq"] == last
    assert len(logged(caplog, "is not an event of this service", "skipped")) <= 2
    assert logged(caplog, "is not an event of this service")
    assert "Traceback" not in caplog.text


def _strange_entries() -> list[list[str]]:
    good = {
        "name": "pipeline:file_failed", "namespaces": "/pipeline", "pipeline_id": "one", "pipeline_type": "local_files",
        "epoch": "e", "seq": "9", "at": "1.0", "numbered": "1", "count": "1", "text": "{}",
    }  # fmt: skip
    text = json.dumps({"pipeline_id": "one", "epoch": "e", "seq": 9, "timestamp": "x", "file": {}})
    bad = [
        {}, {"text": "{"}, {"text": "[]"}, {"text": text}, {"text": '{"a": NaN}'}, {"seq": "nine"}, {"at": "nan"},
        {"namespaces": "/evil"}, {"name": "evil"}, {"pipeline_id": ""}, {"pipeline_id": "x" * 300},
        {"seq": "9" * 6000}, {"text": "[" * 100_000}, {"name": "pipeline:status", "text": text},
    ]  # fmt: skip
    entries = [[part for item in (good | change).items() for part in item] for change in bad]
    return [["a", "b"], ["text", "x", "text", "y"], *entries]


def test_foreign_keys_beside_the_pipelines_do_not_stop_a_start(
    connection: RedisConnection, pipelines: list[PipelineStatus], caplog: pytest.LogCaptureFixture
) -> None:
    connection.call("ZADD", KEYS.pipelines, 1, "odd", 2, "bent", 3, "listed", 4, "rows")
    connection.call("HSET", KEYS.pipeline("odd"), "epoch", "e", "position", "what?")
    connection.call("HSET", KEYS.state("odd"), "hello", "world", "position", "1-1")
    connection.call("SADD", KEYS.pipeline("bent"), "x")
    connection.call("SADD", KEYS.state("bent"), "x")
    connection.call("SADD", KEYS.files_by_change("listed", FileStatus.PROCESSING), "x")
    connection.call("HSET", KEYS.files("rows"), "name:a", "what?")
    connection.call("ZADD", KEYS.files_by_change("rows", FileStatus.COMPLETED), 1, "name:a")
    connection.call("RPUSH", KEYS.generations, "what?")
    connection.call("SET", KEYS.count, "many")
    with start_status_server(0, pipelines=pipelines) as server:
        pipelines[0].complete_file("a")
        wait_until(lambda: get_json(server.http_port, "/files").body["files"])
        assert [file["name"] for file in get_json(server.http_port, "/files").body["files"]] == ["a"]
        assert is_ok(server)
    assert "Traceback" not in caplog.text


def test_an_eviction_policy_is_logged_at_the_start_and_when_it_changes(
    redis: RedisServer, connection: RedisConnection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.backend.POLICY_SECONDS", 0.1)
    connection.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with start_status_server(0, pipelines=[]) as server:
        message = f"Redis at 127.0.0.1:{redis.port}/0 drops the journal's keys when its memory is short: "
        message += "maxmemory-policy is allkeys-lru, and must be noeviction"
        assert journal_of(server)["error"] == message
        assert journal_of(server)["status"] == "degraded"
        connection.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        wait_until(lambda: is_ok(server))
        connection.call("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        connection.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        wait_until(lambda: not is_ok(server))
    assert len(logged(caplog, "allkeys-lru")) == len(logged(caplog, "allkeys-random")) == 1
    assert retry.REFUSED_SECONDS > retry.LIMIT_SECONDS
