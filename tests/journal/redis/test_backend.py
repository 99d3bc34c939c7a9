"""The backend on Redis, with a real server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from rag_pipeline.contract import events
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileQuery, Generations, offset_of
from rag_pipeline.journal.backend import HubHandle
from rag_pipeline.journal.redis.backend import RedisBackend
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import LeaseOwner
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal import redis_server
from tests.journal.redis_appender import claim
from tests.journal.redis_server import RedisServer
from tests.journal.stores import RecordingMailbox
from tests.support.waiting import wait_until

pytestmark = redis_server.needs_redis


class Setup:
    """A backend connected to a hub that only records."""

    def __init__(self, url: str, pipeline_id: str = "kept") -> None:
        self.entries: list[Entry] = []
        self.journals: list[tuple[str, int, int]] = []
        self.stalled: list[str] = []
        self.pipeline = PipelineStatus("local_files", pipeline_id)
        self.backend = RedisBackend(url, heartbeat_seconds=30)
        hub = HubHandle(
            RecordingMailbox(self.take),
            lambda function: function(),
            begin_journal=self.begin,
            mark_stalled=self.mark,
            pipelines=lambda: [] if core_of(self.pipeline).closed else [core_of(self.pipeline)],
        )
        self.sink = self.backend.connect(hub)
        self.backend.start()

    def take(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.event.numbered:
            self.backend.tail.keep(entry)

    def begin(self, generations: Generations, newest: int, entries: tuple[Entry, ...] | None) -> None:
        self.backend.tail.reset(generations, newest)
        self.journals.append((generations.identity, newest, len(entries or ())))

    def mark(self, ids: Iterable[str]) -> None:
        self.stalled = list(ids)

    def numbered(self) -> list[int]:
        return [entry.event.seq for entry in self.entries if entry.event.numbered]

    def claim(self, pipeline_id: str) -> None:
        self.backend.wait_for_claims(self.backend.claim([pipeline_id]))

    def close(self) -> None:
        self.pipeline.close()
        self.backend.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as server:
        yield server


def test_published_events_reach_every_backend_in_order(redis: RedisServer) -> None:
    one, other = Setup(redis.url), Setup(redis.url, "elsewhere")
    core_of(one.pipeline).attach(one.sink, one.backend.restore)
    for n in range(20):
        one.pipeline.update(own={"n": n})
    for setup in (one, other):
        wait_until(lambda setup=setup: setup.numbered() == list(range(1, 21)))  # type: ignore[misc]
    assert [e.position for e in one.entries] == [e.position for e in other.entries]
    assert one.journals[0][0] == other.journals[0][0]
    assert one.backend.describe()["status"] == "ok"
    one.close()
    other.close()


def test_events_before_the_start_are_read_from_redis(redis: RedisServer) -> None:
    one = Setup(redis.url)
    core_of(one.pipeline).attach(one.sink)
    one.pipeline.add_processing_file("a")
    one.pipeline.complete_file("a")
    wait_until(lambda: one.numbered() == [1, 2])
    first = one.entries[0].position
    one.close()
    late = Setup(redis.url, "late")
    assert late.journals[0][2] >= 1, "the state of the known pipeline"
    assert [e.event.seq for e in late.backend.read(0, 10, events.NS_PIPELINE)] == [1, 2]
    (row,) = late.backend.files(FileQuery())
    assert (row.file["name"], row.status) == ("a", "completed")
    wait_until(lambda: late.backend.reaches(first))
    answers: list[tuple[list[Entry] | None, int]] = []
    late.backend.fetch(first, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    wait_until(lambda: bool(answers))
    assert [e.event.seq for e in answers[0][0] or []][-1:] == [2]
    late.close()


def test_a_pipeline_resumes_from_its_state_in_redis(redis: RedisServer) -> None:
    one = Setup(redis.url)
    core_of(one.pipeline).attach(one.sink)
    one.pipeline.complete_file("a")
    wait_until(lambda: one.numbered() == [1])
    one.close()
    again = Setup(redis.url)
    core_of(again.pipeline).attach(again.sink, again.backend.restore)
    again.pipeline.update(status="running")
    assert (again.pipeline.get()["seq"], again.pipeline.get()["total_processed"]) == (2, 1)
    again.close()


@pytest.mark.slow
def test_a_pipeline_of_another_process_is_refused(redis: RedisServer) -> None:
    one, other = Setup(redis.url), Setup(redis.url, "other")
    one.claim("kept")
    one.claim("kept")
    with pytest.raises(JournalError, match="'kept' is published by process"):
        other.claim("kept")
    one.close()
    other.claim("kept")
    other.close()


def test_an_unreachable_redis_is_retried(redis: RedisServer) -> None:
    redis.kill()
    setup = Setup(redis.url)
    setup.claim("kept")
    assert setup.backend.describe()["status"] == "degraded"
    with pytest.raises(JournalError):
        setup.backend.files(FileQuery())
    assert setup.backend.read(0, 10, events.NS_PIPELINE) == []
    assert not setup.backend.reaches(5)
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(own={"n": 1})
    redis.start()
    wait_until(lambda: setup.numbered() == [1] or any(count for _, _, count in setup.journals))
    wait_until(lambda: setup.backend.describe()["status"] == "ok")
    setup.close()


@pytest.mark.slow
def test_a_closed_pipeline_releases_its_id_once_its_events_are_written(redis: RedisServer) -> None:
    one, other = Setup(redis.url), Setup(redis.url, "other")
    one.claim("kept")
    core_of(one.pipeline).attach(one.sink)
    one.pipeline.update(status="stopped")
    one.pipeline.close()

    def is_free() -> bool:
        try:
            other.claim("kept")
        except JournalError:
            return False
        return True

    wait_until(is_free)
    assert other.backend.restore("kept") is not None
    assert one.backend.describe()["status"] == "ok"
    one.close()
    other.close()


def test_an_outage_of_redis_is_logged_in_two_lines(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(redis.url)
    core_of(setup.pipeline).attach(setup.sink)
    redis.kill()
    setup.pipeline.update(own={"n": 1})
    parts = (setup.backend._publisher, setup.backend._reader)
    wait_until(lambda: all(part.degraded for part in parts) and bool(caplog.messages))
    redis.start()
    wait_until(lambda: setup.numbered() == [1])
    wait_until(lambda: setup.backend.describe()["status"] == "ok")
    setup.close()
    # A client of another test may still be logging.
    away, back = (record.getMessage() for record in caplog.records if record.name.startswith("rag_pipeline"))
    assert away == (
        f"Redis at 127.0.0.1:{redis.port}/0 can't be reached: Connection refused; retrying, and clients stay connected"
    )
    assert back == f"Redis at 127.0.0.1:{redis.port}/0 is back"


def test_offsets_stay_valid_over_a_restart_of_redis_without_loss(redis: RedisServer) -> None:
    setup = Setup(redis.url)
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(own={"n": 1})
    wait_until(lambda: setup.numbered() == [1])
    tail = setup.backend.tail
    position = tail.newest
    before = offset_of(tail.identity, position)
    redis.restart()
    setup.pipeline.update(own={"n": 2})
    wait_until(lambda: setup.numbered() == [1, 2])
    assert tail.identity not in before, "it is a new generation"
    assert tail.generations.position_of(before) == position
    assert len(setup.journals) == 1
    setup.close()


def test_a_wrong_address_is_reported_in_one_line() -> None:
    with pytest.raises(JournalError) as caught:
        RedisBackend("http://127.0.0.1:1")
    assert "\n" not in str(caught.value)


def test_a_backend_that_was_never_connected_stops(redis: RedisServer) -> None:
    backend = RedisBackend(redis.url)
    backend.stop()
    backend.stop()


@pytest.mark.slow
def test_a_claimed_pipeline_is_kept_while_others_are_waited_for(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.backend.WATCH_SECONDS", 0.02)
    connection, keys = redis.connection(), RedisKeys()
    claim(LeaseOwner(keys), connection, adopt(connection, keys).identity, "held")
    setup = Setup(redis.url)
    assert setup.backend.claim(["free", "held"]) == {"held"}
    before = _polls(connection)
    wait_until(lambda: _polls(connection) > before + 20)  # checks which pipelines are attached
    assert connection.call("EXISTS", keys.owner("free")) == 1
    setup.backend.wait_for_claims(["held"])
    assert connection.call("EXISTS", keys.owner("held")) == 1
    wait_until(lambda: not connection.call("EXISTS", keys.owner("free")))  # no attached pipeline has this id
    setup.close()
    connection.close()


def _polls(connection: RedisConnection) -> int:
    found = re.search(r"cmdstat_evalsha:calls=(\d+)", connection.call("INFO", "commandstats"))
    return int(found[1]) if found else 0


def test_refusals_of_redis_are_in_the_health(redis: RedisServer) -> None:
    connection = redis.connection()
    connection.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    setup = Setup(redis.url)
    health = setup.backend.describe()
    assert health["status"] == "degraded"
    assert health["error"].endswith("maxmemory-policy is allkeys-lfu, and must be noeviction")
    setup.close()
    connection.close()
