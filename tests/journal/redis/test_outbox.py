"""The decisions of the outbox, against a real server whose memory the test alters between two batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count

import pytest

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.redis.batch import BatchWriter
from rag_pipeline.journal.redis.connection import RedisConnection, RedisRefusedError, RedisUnavailableError
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import IdentityChangedError, LeaseOwner
from rag_pipeline.journal.redis.outbox import Outbox
from rag_pipeline.journal.redis.queue import EventQueue
from rag_pipeline.status import PipelineStatus, core_of
from tests.journal.driving import assert_saved
from tests.journal.redis_server import RedisServer, needs_redis, running
from tests.support.waiting import wait_until

pytestmark = needs_redis

prefixes = (f"t{n}" for n in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


class Desk:
    """An outbox with its pipeline, and what has come of it."""

    def __init__(self, server: RedisServer, limit: int = 1000, patience_seconds: float = 0.0) -> None:
        self.keys = RedisKeys(next(prefixes))
        self.link = server.link()
        self.holder = LeaseOwner(self.keys)
        self.writer = BatchWriter(self.link, self.keys, self.holder)
        self.writer.adopt()
        self.queue = EventQueue(native.AutoResetEvent(), limit)
        self.pipeline = PipelineStatus("local_files", f"outbox-{self.keys.prefix}")
        self.name = self.pipeline.pipeline_id
        self.outbox = Outbox(
            self.queue, self.writer, self.link, self.holder, self.status_of, patience_seconds=patience_seconds
        )
        self.journal = RedisJournal(server.url, prefix=self.keys.prefix)
        core_of(self.pipeline).attach(self)

    def publish_all(self, items: Iterator[object]) -> None:
        for item in items:
            if isinstance(item, Event):
                self.queue.publish(item)

    def status_of(self, pipeline_id: str) -> Event | None:
        return core_of(self.pipeline).status_event() if pipeline_id == self.name else None

    def work(self, files: int) -> None:
        for n in range(files):
            self.pipeline.add_processing_file(f"file {n}")

    def send_all(self) -> None:
        while self.outbox.send():
            pass

    @property
    def seqs(self) -> list[int]:
        return [entry.event.seq for entry in self.journal.read(0, 100_000)]

    @property
    def gaps(self) -> list[int]:
        return [entry.event.seq for entry in self.journal.read(0, 100_000) if entry.event.payload().get("gap")]

    def position_of(self, seq: int) -> int:
        return next(entry.position for entry in self.journal.read(0, 100_000) if entry.event.seq == seq)

    def assert_up_to_date(self) -> None:
        core_of(self.pipeline).flush(everything=True)
        self.send_all()
        assert_saved(self.journal.saved()[self.name], self.pipeline)


@pytest.fixture
def desk(server: RedisServer) -> Iterator[Desk]:
    desk = Desk(server)
    yield desk
    desk.journal.close()
    desk.link.close()


def test_all_that_is_queued_is_sent_in_batches(desk: Desk) -> None:
    desk.work(900)
    assert desk.outbox.send()
    assert 0 < len(desk.seqs) < 900
    desk.send_all()
    assert desk.seqs == list(range(1, 901))
    assert not desk.outbox.waiting


def test_a_pipeline_is_claimed_with_its_first_event(desk: Desk) -> None:
    desk.work(1)
    desk.send_all()
    assert desk.link.call("GET", desk.keys.owner(desk.name)).startswith(desk.holder.token)


def test_a_pipeline_of_another_process_is_refused_once_and_others_go_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    LeaseOwner(desk.keys).claim(desk.link, desk.writer.identity, desk.name)
    desk.work(3)
    desk.send_all()
    desk.work(3)
    desk.send_all()
    assert desk.seqs == []
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert told[0].startswith(f"pipeline '{desk.name}' is published by process ")
    assert told[0].endswith("; this process publishes it no more")
    assert desk.name in desk.outbox.refused
    assert not desk.outbox.waiting


def test_a_lease_lost_while_running_ends_the_publishing_with_one_line(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.work(1)
    desk.send_all()
    desk.link.call("DEL", desk.keys.owner(desk.name))
    other = LeaseOwner(desk.keys)
    other.claim(desk.link, desk.writer.identity, desk.name)
    desk.work(2)
    desk.send_all()
    desk.outbox.renew()
    desk.work(2)
    desk.send_all()
    assert desk.seqs == [1]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "was taken over by process" in told[0]
    assert desk.link.call("GET", desk.keys.owner(desk.name)).startswith(other.token)


def test_a_lease_that_ran_out_is_taken_back_and_nothing_is_missing(desk: Desk) -> None:
    desk.work(1)
    desk.send_all()
    desk.link.call("DEL", desk.keys.owner(desk.name))
    desk.work(5)
    desk.send_all()
    assert desk.seqs == [1, 2, 3, 4, 5, 6]
    assert desk.gaps == []


def test_dropped_events_are_replaced_by_one_status_that_says_so(server: RedisServer) -> None:
    desk = Desk(server, limit=20)
    desk.work(3)
    desk.send_all()
    desk.work(50)
    desk.send_all()
    desk.work(2)
    desk.send_all()
    assert desk.seqs == [1, 2, 3, 53, 54, 55]
    assert desk.gaps == [53]
    desk.assert_up_to_date()
    desk.journal.close()


def test_events_dropped_before_any_was_sent_are_a_gap_too(server: RedisServer) -> None:
    desk = Desk(server, limit=20)
    desk.work(50)
    desk.send_all()
    assert desk.seqs == desk.gaps == [50]
    desk.assert_up_to_date()
    desk.journal.close()


def test_a_gap_is_told_of_a_pipeline_that_says_nothing_more(server: RedisServer) -> None:
    desk = Desk(server, limit=20)
    desk.work(5)
    other = PipelineStatus("local_files", f"other-{desk.name}")
    core_of(other).attach(desk)
    for n in range(50):
        other.add_processing_file(str(n))
    desk.send_all()
    mine = [e for e in desk.journal.read(0, 1000) if e.event.pipeline_id == desk.name]
    assert [(e.event.seq, e.event.payload()["gap"]) for e in mine] == [(5, True)]
    desk.journal.close()


def test_files_that_ended_in_a_gap_are_not_in_flight_for_ever(server: RedisServer) -> None:
    desk = Desk(server, limit=20)
    desk.work(18)
    desk.send_all()
    for n in range(17):
        desk.pipeline.complete_file(f"file {n}")
    for n in range(100):
        desk.pipeline.skip_file(f"other {n}", "too large")
    desk.send_all()
    assert len(desk.gaps) == 1
    assert [file.name for file in desk.journal.saved()[desk.name].in_flight] == ["file 17"]
    processing = desk.journal.files(FileQuery(FileStatus.PROCESSING))
    assert [(row.file["name"], row.position) for row in processing] == [("file 17", desk.position_of(18))]
    desk.assert_up_to_date()
    desk.journal.close()


def test_one_event_that_is_missing_among_others_is_a_gap(desk: Desk) -> None:
    desk.work(2)
    desk.send_all()
    desk.work(3)
    assert desk.queue.take() is not None  # as when the queue overflows while a batch is being made of it
    desk.send_all()
    desk.work(1)
    desk.send_all()
    assert desk.seqs == [1, 2, 5, 6]
    assert desk.gaps == [5]
    desk.assert_up_to_date()


def test_an_emptied_server_gets_what_is_queued_and_then_the_whole_state(desk: Desk) -> None:
    desk.pipeline.update(status="running", own={"mine": 1})
    desk.work(5)
    desk.pipeline.complete_file("file 0")
    desk.send_all()
    desk.work(2)
    for key in desk.link.call("KEYS", f"{desk.keys.prefix}:*"):
        desk.link.call("DEL", key)
    with pytest.raises(IdentityChangedError):
        desk.outbox.send()
    desk.writer.adopt()
    desk.outbox.begin_anew()
    desk.send_all()
    assert desk.seqs == [8, 9]  # what had been sent before is in the state
    assert desk.gaps == []
    desk.assert_up_to_date()


def test_an_emptied_server_is_noticed_by_a_pipeline_that_says_nothing(desk: Desk) -> None:
    desk.work(3)
    desk.send_all()
    for key in desk.link.call("KEYS", f"{desk.keys.prefix}:*"):
        desk.link.call("DEL", key)
    with pytest.raises(IdentityChangedError):
        desk.outbox.renew()
    desk.writer.adopt()
    desk.outbox.begin_anew()
    desk.assert_up_to_date()


def test_a_server_that_went_back_to_an_older_state_gets_the_whole_one_marked_as_a_gap(desk: Desk) -> None:
    desk.work(1)
    desk.send_all()
    hash_key = desk.keys.pipeline(desk.name)
    older = desk.link.call("HGET", hash_key, "batch")
    desk.pipeline.update(status="running")
    desk.send_all()
    desk.link.call("HSET", hash_key, "batch", older)
    desk.outbox.renew()  # it is noticed also by a pipeline that says nothing
    desk.send_all()
    assert desk.gaps == [2]
    desk.assert_up_to_date()


def test_what_was_taken_when_the_server_went_away_is_kept(desk: Desk, server: RedisServer) -> None:
    desk.work(2)
    server.kill()
    for _ in range(2):
        with pytest.raises(RedisUnavailableError):
            desk.outbox.send()
    desk.work(2)
    assert desk.outbox.waiting
    server.start()
    with pytest.raises(IdentityChangedError):
        desk.outbox.send()
    assert desk.writer.adopt(), "it has all that it had confirmed"
    desk.send_all()
    assert desk.seqs == [1, 2, 3, 4]


def test_a_released_pipeline_is_let_go_after_its_last_event(desk: Desk) -> None:
    desk.work(2)
    desk.queue.release(desk.name)
    desk.outbox.release()
    assert desk.outbox.waiting
    desk.send_all()
    assert desk.link.call("EXISTS", desk.keys.owner(desk.name)) == 1
    desk.outbox.release()
    assert desk.seqs == [1, 2]
    assert desk.link.call("EXISTS", desk.keys.owner(desk.name)) == 0
    assert desk.link.call("HGET", desk.keys.pipeline(desk.name), "closed") == "1"


def test_a_refused_pipeline_that_is_released_is_no_longer_told(desk: Desk) -> None:
    desk.outbox.refused[desk.name] = "pipeline is published by another process already"
    desk.send_all()
    desk.queue.release(desk.name)
    desk.outbox.release()
    assert desk.outbox.refused == {}


def test_what_is_given_up_is_replaced_by_a_status(desk: Desk) -> None:
    desk.work(2)
    desk.send_all()
    desk.work(2)
    link: RedisConnection = desk.link
    link.call("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(RedisUnavailableError):
            desk.outbox.send()
    finally:
        link.call("CONFIG", "SET", "maxmemory", "0")
    desk.outbox.abandon()
    desk.send_all()
    assert desk.seqs == [1, 2, 4]
    assert desk.gaps == [4]


def test_batches_are_bounded_in_bytes_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.outbox.MAX_BATCH_BYTES", 100_000)
    for n in range(20):
        desk.pipeline.complete_file(str(n), result="x" * 20_000)
    done = []
    while desk.outbox.send():
        done.append(len(desk.seqs))
    steps = [after - before for before, after in zip([0, *done], done, strict=False)]
    assert max(steps) <= 3, "each has its result twice: in the event, and in the file's row"
    assert desk.seqs == list(range(1, 21))


def test_a_pipeline_that_is_waited_for_holds_up_no_other(server: RedisServer) -> None:
    desk = Desk(server, patience_seconds=60.0)
    LeaseOwner(desk.keys).claim(desk.link, desk.writer.identity, desk.name)
    other = PipelineStatus("local_files", f"other-{desk.name}")
    core_of(other).attach(desk)
    desk.work(3)
    for n in range(700):
        other.add_processing_file(str(n))
    desk.send_all()
    desk.outbox.renew()
    assert desk.seqs == list(range(1, 701))
    held = (desk.outbox.holding, desk.queue.parked > 0)
    assert held == (True, True)
    assert list(desk.outbox.claimed) == [other.pipeline_id]
    desk.link.call("DEL", desk.keys.owner(desk.name))
    wait_until(lambda: desk.outbox.waiting)
    desk.send_all()
    assert desk.seqs == [*range(1, 701), 1, 2, 3]
    held = (desk.outbox.holding, desk.queue.parked > 0)
    assert held == (False, False)
    desk.journal.close()


@pytest.mark.parametrize("command", ["xadd", "hset", "zadd", "xtrim", "set"])
def test_a_batch_that_stopped_in_the_middle_is_written_once(desk: Desk, command: str) -> None:
    desk.pipeline.update(status="running")
    desk.send_all()
    desk.work(5)
    desk.link.call("ACL", "SETUSER", "default", f"-{command}")
    for _ in range(3):
        with pytest.raises(RedisRefusedError, match=command.upper()):
            desk.send_all()
    desk.work(5)
    desk.link.call("ACL", "SETUSER", "default", "+@all")
    desk.send_all()
    assert desk.seqs == list(range(1, 12))
    assert desk.gaps == []
    desk.assert_up_to_date()


def test_a_state_that_vanished_is_published_again(desk: Desk) -> None:
    desk.work(1)
    desk.pipeline.update(status="running")
    desk.send_all()
    desk.link.call("DEL", desk.keys.state(desk.name))
    desk.outbox.renew()
    desk.send_all()
    assert desk.link.call("HGET", desk.keys.state(desk.name), "seq") == "2"
    assert desk.seqs == [1, 2]
