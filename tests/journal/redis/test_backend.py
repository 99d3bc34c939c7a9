"""The keeper over Redis: what publishers and servers share, as one service sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from rag_pipeline.contract import events
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileQuery, Generations, offset_of
from rag_pipeline.journal.redis.backend import RedisKeeper
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import LeaseOwner
from rag_pipeline.status import PipelineStatus, core_of
from tests.journal import redis_server
from tests.journal.redis_server import RedisServer
from tests.support.waiting import wait_until

pytestmark = redis_server.needs_redis


class Setup:
    """A keeper connected to a hub that only notes what it gets."""

    def __init__(self, url: str, pipeline_id: str = "kept") -> None:
        self.entries: list[Entry] = []
        self.journals: list[tuple[str, int, int]] = []
        self.stalled: list[str] = []
        self.pipeline = PipelineStatus("local_files", pipeline_id)
        self.keeper = RedisKeeper(url, heartbeat_seconds=30)
        self.sink = self.keeper.connect(
            self.take,
            self.post,
            begin_journal=self.begin,
            dropped=lambda: 0,
            mark_stalled=self.mark,
            pipelines=lambda: [] if core_of(self.pipeline).closed else [core_of(self.pipeline)],
        )
        self.keeper.start()

    def take(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.event.numbered:
            self.keeper.tail.keep(entry)

    def post(self, function: Callable[[], None]) -> None:
        function()

    def begin(self, generations: Generations, newest: int, entries: tuple[Entry, ...] | None) -> None:
        self.keeper.tail.begin(generations, newest)
        self.journals.append((generations.identity, newest, len(entries or ())))

    def mark(self, ids: Iterable[str]) -> None:
        self.stalled = list(ids)

    def numbered(self) -> list[int]:
        return [entry.event.seq for entry in self.entries if entry.event.numbered]

    def claim(self, pipeline_id: str) -> None:
        self.keeper.wait_for_claims(self.keeper.claim([pipeline_id]))

    def close(self) -> None:
        self.pipeline.close()
        self.keeper.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis") as server:
        yield server


def test_what_is_published_comes_back_in_order_to_every_keeper(redis: RedisServer) -> None:
    one, other = Setup(redis.url), Setup(redis.url, "elsewhere")
    core_of(one.pipeline).attach(one.sink, one.keeper.restore)
    for n in range(20):
        one.pipeline.update(own={"n": n})
    for setup in (one, other):
        wait_until(lambda setup=setup: setup.numbered() == list(range(1, 21)))  # type: ignore[misc]
    assert [e.position for e in one.entries] == [e.position for e in other.entries]
    assert one.journals[0][0] == other.journals[0][0]
    assert one.keeper.describe()["status"] == "ok"
    one.close()
    other.close()


def test_what_came_before_the_start_is_read_from_redis(redis: RedisServer) -> None:
    one = Setup(redis.url)
    core_of(one.pipeline).attach(one.sink)
    one.pipeline.add_processing_file("a")
    one.pipeline.complete_file("a")
    wait_until(lambda: one.numbered() == [1, 2])
    first = one.entries[0].position
    one.close()
    late = Setup(redis.url, "late")
    assert late.journals[0][2] >= 1, "the state of a pipeline that is known"
    assert [e.event.seq for e in late.keeper.read(0, 10, events.NS_PIPELINE)] == [1, 2]
    (row,) = late.keeper.files(FileQuery())
    assert (row.file["name"], row.status) == ("a", "completed")
    wait_until(lambda: late.keeper.reaches(first))
    answers: list[tuple[list[Entry] | None, int]] = []
    late.keeper.fetch(first, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    wait_until(lambda: bool(answers))
    assert [e.event.seq for e in answers[0][0] or []][-1:] == [2]
    late.close()


def test_a_pipeline_goes_on_from_what_redis_knows(redis: RedisServer) -> None:
    one = Setup(redis.url)
    core_of(one.pipeline).attach(one.sink)
    one.pipeline.complete_file("a")
    wait_until(lambda: one.numbered() == [1])
    one.close()
    again = Setup(redis.url)
    core_of(again.pipeline).attach(again.sink, again.keeper.restore)
    again.pipeline.update(status="running")
    assert (again.pipeline.get()["seq"], again.pipeline.get()["total_processed"]) == (2, 1)
    again.close()


def test_an_id_that_another_process_publishes_is_refused(redis: RedisServer) -> None:
    one, other = Setup(redis.url), Setup(redis.url, "other")
    one.claim("kept")
    one.claim("kept")
    with pytest.raises(JournalError, match="'kept' is published by process"):
        other.claim("kept")
    one.close()
    other.claim("kept")
    other.close()


def test_a_redis_that_is_not_there_yet_is_waited_for(redis: RedisServer) -> None:
    redis.kill()
    setup = Setup(redis.url)
    setup.claim("kept")
    assert setup.keeper.describe()["status"] == "degraded"
    with pytest.raises(JournalError):
        setup.keeper.files(FileQuery())
    assert setup.keeper.read(0, 10, events.NS_PIPELINE) == []
    assert not setup.keeper.reaches(5)
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(own={"n": 1})
    redis.start()
    wait_until(lambda: setup.numbered() == [1] or any(count for _, _, count in setup.journals))
    wait_until(lambda: setup.keeper.describe()["status"] == "ok")
    setup.close()


def test_a_closed_pipeline_gives_its_id_back_once_what_it_published_is_written(redis: RedisServer) -> None:
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
    assert other.keeper.restore("kept") is not None
    assert one.keeper.describe()["status"] == "ok"
    one.close()
    other.close()


def test_a_redis_that_goes_away_and_comes_back_is_two_lines(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    setup = Setup(redis.url)
    core_of(setup.pipeline).attach(setup.sink)
    redis.kill()
    setup.pipeline.update(own={"n": 1})
    parts = (setup.keeper._publisher, setup.keeper._reader)
    wait_until(lambda: all(part.degraded for part in parts) and bool(caplog.messages))
    redis.start()
    wait_until(lambda: setup.numbered() == [1])
    wait_until(lambda: setup.keeper.describe()["status"] == "ok")
    setup.close()
    away, back = caplog.messages
    assert away == (
        f"Redis at 127.0.0.1:{redis.port}/0 can't be reached: Connection refused; "
        "it is tried again, and clients stay connected"
    )
    assert back == f"Redis at 127.0.0.1:{redis.port}/0 is back"


def test_offsets_hold_over_a_restart_of_redis_that_loses_nothing(redis: RedisServer) -> None:
    setup = Setup(redis.url)
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(own={"n": 1})
    wait_until(lambda: setup.numbered() == [1])
    tail = setup.keeper.tail
    position = tail.newest
    before = offset_of(tail.identity, position)
    redis.restart()
    setup.pipeline.update(own={"n": 2})
    wait_until(lambda: setup.numbered() == [1, 2])
    assert tail.identity not in before, "it is a generation of its own"
    assert tail.generations.position_of(before) == position
    assert len(setup.journals) == 1
    setup.close()


def test_a_wrong_address_is_one_line() -> None:
    with pytest.raises(JournalError) as caught:
        RedisKeeper("http://127.0.0.1:1")
    assert "\n" not in str(caught.value)


def test_one_that_was_never_connected_stops(redis: RedisServer) -> None:
    keeper = RedisKeeper(redis.url)
    keeper.stop()
    keeper.stop()


def test_an_id_that_was_had_is_kept_while_others_are_waited_for(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.backend.WATCH_SECONDS", 0.02)
    link, keys = redis.link(), RedisKeys()
    LeaseOwner(keys).claim(link, adopt(link, keys).identity, "held")
    setup = Setup(redis.url)
    assert setup.keeper.claim(["free", "held"]) == {"held"}
    before = _polls(link)
    wait_until(lambda: _polls(link) > before + 20)  # looks at whose pipelines are served
    assert link.call("EXISTS", keys.owner("free")) == 1
    setup.keeper.wait_for_claims(["held"])
    assert link.call("EXISTS", keys.owner("held")) == 1
    wait_until(lambda: not link.call("EXISTS", keys.owner("free")))  # no pipeline of that id is served
    setup.close()
    link.close()


def _polls(link: RedisConnection) -> int:
    found = re.search(r"cmdstat_evalsha:calls=(\d+)", link.call("INFO", "commandstats"))
    return int(found[1]) if found else 0


def test_what_others_are_at_fault_for_is_in_the_health(redis: RedisServer) -> None:
    link = redis.link()
    link.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    setup = Setup(redis.url)
    told = setup.keeper.describe()
    assert told["status"] == "degraded"
    assert told["error"].endswith("maxmemory-policy is allkeys-lfu, and must be noeviction")
    setup.close()
    link.close()
