"""The decisions of the outbox, with a real server whose data the test changes between batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count

import pytest

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.redis.batch import BatchWriter
from rag_pipeline.journal.redis.connection import RedisConnection, RedisRefusedError, RedisUnavailableError
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import IdentityChangedError, LeaseOwner
from rag_pipeline.journal.redis.outbox import Outbox
from rag_pipeline.journal.redis.queue import EventQueue
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.driving import assert_saved
from tests.journal.redis_appender import claim
from tests.journal.redis_server import RedisServer, needs_redis, running
from tests.support.waiting import wait_until

pytestmark = needs_redis

prefixes = (f"t{n}" for n in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


class Setup:
    """An outbox with a pipeline, and the journal it writes."""

    def __init__(self, server: RedisServer, limit: int = 1000, patience_seconds: float = 0.0) -> None:
        self.keys = RedisKeys(next(prefixes))
        self.connection = server.connection()
        self.owner = LeaseOwner(self.keys)
        self.writer = BatchWriter(self.connection, self.keys, self.owner)
        self.writer.adopt()
        self.queue = EventQueue(native.AutoResetEvent(), limit)
        self.pipeline = PipelineStatus("local_files", f"outbox-{self.keys.prefix}")
        self.name = self.pipeline.pipeline_id
        self.outbox = Outbox(
            self.queue, self.writer, self.connection, self.owner, self.status_of, patience_seconds=patience_seconds
        )
        self.journal = RedisJournal(server.url, prefix=self.keys.prefix)
        core_of(self.pipeline).attach(self)

    def publish_all(self, items: Iterator[object]) -> None:
        for item in items:
            if isinstance(item, PipelineEvent):
                self.queue.publish_all(iter((item,)))

    def status_of(self, pipeline_id: str) -> PipelineEvent | None:
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
        assert_saved(self.journal.saved_states()[self.name], self.pipeline)


@pytest.fixture
def setup(server: RedisServer) -> Iterator[Setup]:
    setup = Setup(server)
    yield setup
    setup.journal.close()
    setup.connection.close()


def test_queued_events_are_sent_in_batches(setup: Setup) -> None:
    setup.work(900)
    assert setup.outbox.send()
    assert 0 < len(setup.seqs) < 900
    setup.send_all()
    assert setup.seqs == list(range(1, 901))
    assert not setup.outbox.waiting


def test_a_pipeline_is_claimed_with_its_first_event(setup: Setup) -> None:
    setup.work(1)
    setup.send_all()
    assert setup.connection.call("GET", setup.keys.owner(setup.name)).startswith(setup.owner.token)


def test_a_pipeline_of_another_process_is_refused_once_and_others_continue(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    claim(LeaseOwner(setup.keys), setup.connection, setup.writer.identity, setup.name)
    setup.work(3)
    setup.send_all()
    setup.work(3)
    setup.send_all()
    assert setup.seqs == []
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith(f"pipeline '{setup.name}' is published by process ")
    assert errors[0].endswith("; this process no longer publishes it")
    assert setup.name in setup.outbox.refused
    assert not setup.outbox.waiting


def test_a_lost_lease_stops_publishing_and_is_logged_once(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    setup.work(1)
    setup.send_all()
    setup.connection.call("DEL", setup.keys.owner(setup.name))
    other = LeaseOwner(setup.keys)
    claim(other, setup.connection, setup.writer.identity, setup.name)
    setup.work(2)
    setup.send_all()
    setup.outbox.renew()
    setup.work(2)
    setup.send_all()
    assert setup.seqs == [1]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "was taken over by process" in errors[0]
    assert setup.connection.call("GET", setup.keys.owner(setup.name)).startswith(other.token)


def test_an_expired_lease_is_claimed_again_and_nothing_is_missing(setup: Setup) -> None:
    setup.work(1)
    setup.send_all()
    setup.connection.call("DEL", setup.keys.owner(setup.name))
    setup.work(5)
    setup.send_all()
    assert setup.seqs == [1, 2, 3, 4, 5, 6]
    assert setup.gaps == []


def test_dropped_events_are_replaced_by_one_status_marked_as_a_gap(server: RedisServer) -> None:
    setup = Setup(server, limit=20)
    setup.work(3)
    setup.send_all()
    setup.work(50)
    setup.send_all()
    setup.work(2)
    setup.send_all()
    assert setup.seqs == [1, 2, 3, 53, 54, 55]
    assert setup.gaps == [53]
    setup.assert_up_to_date()
    setup.journal.close()


def test_events_dropped_before_any_was_sent_are_a_gap_too(server: RedisServer) -> None:
    setup = Setup(server, limit=20)
    setup.work(50)
    setup.send_all()
    assert setup.seqs == setup.gaps == [50]
    setup.assert_up_to_date()
    setup.journal.close()


def test_a_gap_is_published_for_a_pipeline_that_is_silent_afterwards(server: RedisServer) -> None:
    setup = Setup(server, limit=20)
    setup.work(5)
    other = PipelineStatus("local_files", f"other-{setup.name}")
    core_of(other).attach(setup)
    for n in range(50):
        other.add_processing_file(str(n))
    setup.send_all()
    mine = [e for e in setup.journal.read(0, 1000) if e.event.pipeline_id == setup.name]
    assert [(e.event.seq, e.event.payload()["gap"]) for e in mine] == [(5, True)]
    setup.journal.close()


def test_files_that_ended_in_a_gap_do_not_stay_in_flight(server: RedisServer) -> None:
    setup = Setup(server, limit=20)
    setup.work(18)
    setup.send_all()
    for n in range(17):
        setup.pipeline.complete_file(f"file {n}")
    for n in range(100):
        setup.pipeline.skip_file(f"other {n}", "too large")
    setup.send_all()
    assert len(setup.gaps) == 1
    assert [file.name for file in setup.journal.saved_states()[setup.name].in_flight] == ["file 17"]
    processing = setup.journal.files(FileQuery(FileStatus.PROCESSING))
    assert [(row.file["name"], row.position) for row in processing] == [("file 17", setup.position_of(18))]
    setup.assert_up_to_date()
    setup.journal.close()


def test_one_missing_event_among_others_is_a_gap(setup: Setup) -> None:
    setup.work(2)
    setup.send_all()
    setup.work(3)
    assert setup.queue.take() is not None  # as if the queue overflowed while a batch is made
    setup.send_all()
    setup.work(1)
    setup.send_all()
    assert setup.seqs == [1, 2, 5, 6]
    assert setup.gaps == [5]
    setup.assert_up_to_date()


def test_an_emptied_server_gets_the_queued_events_and_then_the_whole_state(setup: Setup) -> None:
    setup.pipeline.update(status="running", own={"mine": 1})
    setup.work(5)
    setup.pipeline.complete_file("file 0")
    setup.send_all()
    setup.work(2)
    for key in setup.connection.call("KEYS", f"{setup.keys.prefix}:*"):
        setup.connection.call("DEL", key)
    with pytest.raises(IdentityChangedError):
        setup.outbox.send()
    setup.writer.adopt()
    setup.outbox.restart()
    setup.send_all()
    assert setup.seqs == [8, 9]  # earlier events are in the state
    assert setup.gaps == []
    setup.assert_up_to_date()


def test_an_emptied_server_is_noticed_by_a_silent_pipeline(setup: Setup) -> None:
    setup.work(3)
    setup.send_all()
    for key in setup.connection.call("KEYS", f"{setup.keys.prefix}:*"):
        setup.connection.call("DEL", key)
    with pytest.raises(IdentityChangedError):
        setup.outbox.renew()
    setup.writer.adopt()
    setup.outbox.restart()
    setup.assert_up_to_date()


def test_a_server_restored_to_an_older_state_gets_the_state_marked_as_a_gap(setup: Setup) -> None:
    setup.work(1)
    setup.send_all()
    hash_key = setup.keys.pipeline(setup.name)
    older = setup.connection.call("HGET", hash_key, "batch")
    setup.pipeline.update(status="running")
    setup.send_all()
    setup.connection.call("HSET", hash_key, "batch", older)
    setup.outbox.renew()  # noticed even for a silent pipeline
    setup.send_all()
    assert setup.gaps == [2]
    setup.assert_up_to_date()


def test_a_batch_that_failed_with_the_server_is_kept(setup: Setup, server: RedisServer) -> None:
    setup.work(2)
    server.kill()
    for _ in range(2):
        with pytest.raises(RedisUnavailableError):
            setup.outbox.send()
    setup.work(2)
    assert setup.outbox.waiting
    server.start()
    with pytest.raises(IdentityChangedError):
        setup.outbox.send()
    assert setup.writer.adopt(), "it has everything that it confirmed"
    setup.send_all()
    assert setup.seqs == [1, 2, 3, 4]


def test_a_lease_is_released_after_the_last_event(setup: Setup) -> None:
    setup.work(2)
    setup.queue.release(setup.name)
    setup.outbox.release()
    assert setup.outbox.waiting
    setup.send_all()
    assert setup.connection.call("EXISTS", setup.keys.owner(setup.name)) == 1
    setup.outbox.release()
    assert setup.seqs == [1, 2]
    assert setup.connection.call("EXISTS", setup.keys.owner(setup.name)) == 0
    assert setup.connection.call("HGET", setup.keys.pipeline(setup.name), "closed") == "1"


def test_a_refused_pipeline_is_forgotten_when_released(setup: Setup) -> None:
    setup.outbox.refused[setup.name] = "pipeline is published by another process already"
    setup.send_all()
    setup.queue.release(setup.name)
    setup.outbox.release()
    assert setup.outbox.refused == {}


def test_abandoned_events_are_replaced_by_a_status(setup: Setup) -> None:
    setup.work(2)
    setup.send_all()
    setup.work(2)
    connection: RedisConnection = setup.connection
    connection.call("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(RedisUnavailableError):
            setup.outbox.send()
    finally:
        connection.call("CONFIG", "SET", "maxmemory", "0")
    setup.outbox.abandon()
    setup.send_all()
    assert setup.seqs == [1, 2, 4]
    assert setup.gaps == [4]


def test_batches_are_limited_by_bytes_too(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.outbox.MAX_BATCH_BYTES", 100_000)
    for n in range(20):
        setup.pipeline.complete_file(str(n), result="x" * 20_000)
    done = []
    while setup.outbox.send():
        done.append(len(setup.seqs))
    steps = [after - before for before, after in zip([0, *done], done, strict=False)]
    assert max(steps) <= 3, "each batch has each result twice: in the event and in the file's row"
    assert setup.seqs == list(range(1, 21))


def test_waiting_for_one_pipeline_does_not_block_others(server: RedisServer) -> None:
    setup = Setup(server, patience_seconds=60.0)
    claim(LeaseOwner(setup.keys), setup.connection, setup.writer.identity, setup.name)
    other = PipelineStatus("local_files", f"other-{setup.name}")
    core_of(other).attach(setup)
    setup.work(3)
    for n in range(700):
        other.add_processing_file(str(n))
    setup.send_all()
    setup.outbox.renew()
    assert setup.seqs == list(range(1, 701))
    held = (setup.outbox.holding, setup.queue.parked > 0)
    assert held == (True, True)
    assert list(setup.outbox.claimed) == [other.pipeline_id]
    setup.connection.call("DEL", setup.keys.owner(setup.name))
    wait_until(lambda: setup.outbox.waiting)
    setup.send_all()
    assert setup.seqs == [*range(1, 701), 1, 2, 3]
    held = (setup.outbox.holding, setup.queue.parked > 0)
    assert held == (False, False)
    setup.journal.close()


@pytest.mark.parametrize("command", ["xadd", "hset", "zadd", "xtrim", "set"])
def test_a_batch_that_failed_halfway_is_written_once(setup: Setup, command: str) -> None:
    setup.pipeline.update(status="running")
    setup.send_all()
    setup.work(5)
    setup.connection.call("ACL", "SETUSER", "default", f"-{command}")
    for _ in range(3):
        with pytest.raises(RedisRefusedError, match=command.upper()):
            setup.send_all()
    setup.work(5)
    setup.connection.call("ACL", "SETUSER", "default", "+@all")
    setup.send_all()
    assert setup.seqs == list(range(1, 12))
    assert setup.gaps == []
    setup.assert_up_to_date()


def test_a_deleted_state_is_published_again(setup: Setup) -> None:
    setup.work(1)
    setup.pipeline.update(status="running")
    setup.send_all()
    setup.connection.call("DEL", setup.keys.state(setup.name))
    setup.outbox.renew()
    setup.send_all()
    assert setup.connection.call("HGET", setup.keys.state(setup.name), "seq") == "2"
    assert setup.seqs == [1, 2]
