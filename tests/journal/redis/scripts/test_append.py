"""The guarantees of append.lua, in whatever order copies of a batch arrive."""

from __future__ import annotations

import pytest

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import FileStatus
from rag_pipeline.journal.redis.batch import BatchWriter, EncodedItem, WriteBatch
from rag_pipeline.journal.redis.connection import RedisConnection, RedisUnavailableError
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys, pairs
from rag_pipeline.journal.redis.lease import IdentityChangedError, LeaseOwner, ScriptResult, ScriptStatus
from rag_pipeline.status.model import FileBody, FileRecord
from tests.journal.redis_appender import claim
from tests.journal.redis_server import needs_redis

pytestmark = needs_redis

KEYS = RedisKeys()


def event(
    seq: int, pipeline_id: str = "p", file: str = "a", name: str = "pipeline:file_processing_started"
) -> PipelineEvent:
    body = FileBody(FileRecord(file, None, started_at=1.0))
    return PipelineEvent(name, ("/local_files", "/pipeline"), pipeline_id, "local_files", "e", seq, float(seq), body)


class Process:
    """A process that writes."""

    def __init__(self, connection: RedisConnection, **limits: int) -> None:
        self.connection = connection
        self.owner = LeaseOwner(KEYS)
        self.writer = BatchWriter(connection, KEYS, self.owner, **limits)
        self.writer.adopt()

    def claim(self, *pipeline_ids: str) -> None:
        for pipeline_id in pipeline_ids:
            claim(self.owner, self.connection, self.writer.identity, pipeline_id)

    def statuses(self, batch: WriteBatch) -> dict[str, ScriptStatus]:
        return {name: result.status for name, result in self.writer.write(batch).results.items()}


def batch_of(process: Process, events: list[PipelineEvent]) -> WriteBatch:
    return process.writer.batch([EncodedItem.of(event) for event in events])


@pytest.fixture
def process(connection: RedisConnection) -> Process:
    process = Process(connection)
    process.claim("p", "q")
    return process


def seqs(connection: RedisConnection) -> list[int]:
    return [int(pairs(fields)["seq"]) for _, fields in connection.call("XRANGE", KEYS.events, "-", "+")]


def test_a_batch_that_arrives_twice_is_written_once(connection: RedisConnection, process: Process) -> None:
    batch = batch_of(process, [event(1), event(2), event(1, "q")])
    assert process.statuses(batch) == {"p": ScriptStatus.OK, "q": ScriptStatus.OK}
    assert process.statuses(batch) == {"p": ScriptStatus.WRITTEN, "q": ScriptStatus.WRITTEN}
    assert seqs(connection) == [1, 2, 1]


def test_a_copy_that_arrives_after_later_batches_is_not_written(connection: RedisConnection, process: Process) -> None:
    first, second = batch_of(process, [event(1)]), batch_of(process, [event(2)])
    assert process.statuses(first) == {"p": ScriptStatus.OK}
    assert process.statuses(second) == {"p": ScriptStatus.OK}
    assert process.statuses(first) == {"p": ScriptStatus.WRITTEN}
    assert seqs(connection) == [1, 2]


def test_a_copy_that_arrives_after_another_process_took_over_is_not_written(
    connection: RedisConnection, process: Process
) -> None:
    late = batch_of(process, [event(1)])
    process.owner.release(connection, "p")
    other = Process(connection)
    other.claim("p")
    assert other.statuses(batch_of(other, [event(7)])) == {"p": ScriptStatus.OK}
    assert process.statuses(late) == {"p": ScriptStatus.LOST}
    other.owner.release(connection, "p")
    assert process.statuses(late) == {"p": ScriptStatus.LOST}  # also after the other one released it
    assert seqs(connection) == [7]


def test_each_pipeline_of_a_batch_has_its_own_result(connection: RedisConnection, process: Process) -> None:
    Process(connection)
    connection.call("SET", KEYS.owner("p"), "another 1 host")
    results = process.writer.write(batch_of(process, [event(1), event(1, "q"), event(2)])).results
    assert results["p"] == ScriptResult(ScriptStatus.LOST, "another 1 host")
    assert results["q"].status is ScriptStatus.OK
    assert connection.call("HGET", KEYS.files("p"), "name:a") is None
    assert len(seqs(connection)) == 1


def test_an_expired_lease_that_nobody_took_is_reported(connection: RedisConnection, process: Process) -> None:
    connection.call("DEL", KEYS.owner("p"))
    batch = batch_of(process, [event(1)])
    assert process.statuses(batch) == {"p": ScriptStatus.EXPIRED}
    process.claim("p")
    assert process.statuses(batch) == {"p": ScriptStatus.OK}


def test_a_server_that_lost_a_confirmed_batch_is_behind(connection: RedisConnection, process: Process) -> None:
    before = dict(process.writer.confirmed)
    assert process.statuses(batch_of(process, [event(1)])) == {"p": ScriptStatus.OK}
    connection.call("HSET", KEYS.pipeline("p"), "batch", before.get("p", 0), "done", before.get("p", 0))
    assert process.statuses(batch_of(process, [event(2)])) == {"p": ScriptStatus.BEHIND}
    connection.call("DEL", KEYS.pipeline("p"))
    assert process.statuses(batch_of(process, [event(2)])) == {"p": ScriptStatus.BEHIND}
    assert seqs(connection) == [1]


def test_a_journal_that_was_emptied_is_not_written_to(connection: RedisConnection, process: Process) -> None:
    connection.call("FLUSHALL")
    with pytest.raises(IdentityChangedError):
        process.writer.write(batch_of(process, [event(1)]))
    adopt(connection, KEYS)
    with pytest.raises(IdentityChangedError):
        process.writer.write(batch_of(process, [event(1)]))
    assert seqs(connection) == []


def test_stream_state_and_files_are_written_together(connection: RedisConnection, process: Process) -> None:
    written = process.writer.write(batch_of(process, [event(1), event(2, file="b")]))
    assert all(written.ids)
    known = pairs(connection.call("HGETALL", KEYS.pipeline("p")))
    assert (known["seq"], known["epoch"], known["position"]) == ("2", "e", written.ids[-1])
    row = connection.call("HGET", KEYS.files("p"), "name:b")
    assert row.split(" ")[:2] == ["processing", written.ids[-1]]
    assert connection.call("ZRANGE", KEYS.files_by_change("p", FileStatus.PROCESSING), 0, -1) == ["name:a", "name:b"]


def test_a_server_out_of_memory_refuses_the_whole_batch(connection: RedisConnection, process: Process) -> None:
    connection.call("CONFIG", "SET", "maxmemory", "1")
    batch = batch_of(process, [event(1), event(2)])
    try:
        with pytest.raises(RedisUnavailableError, match=r"refused a command: .*memory"):
            process.writer.write(batch)
    finally:
        connection.call("CONFIG", "SET", "maxmemory", "0")
    assert seqs(connection) == []
    assert connection.call("EXISTS", KEYS.files("p")) == 0
    assert process.statuses(batch) == {"p": ScriptStatus.OK}


def test_the_stream_and_the_finished_files_are_bounded(connection: RedisConnection) -> None:
    process = Process(connection, max_events=200, max_files=50)
    process.claim("p")
    for start in range(1, 1001, 100):
        batch = [event(seq, file=str(seq), name="pipeline:file_completed") for seq in range(start, start + 100)]
        process.writer.write(batch_of(process, [event(start, file="in flight"), *batch]))
    assert 200 <= len(seqs(connection)) < 400  # Redis removes whole nodes of the stream
    assert connection.call("HLEN", KEYS.files("p")) == 50
    assert connection.call("HGET", KEYS.files("p"), "name:in flight").startswith("processing ")
    completed = connection.call("ZRANGE", KEYS.files_by_change("p", FileStatus.COMPLETED), 0, -1)
    assert completed == [f"name:{n}" for n in range(952, 1001)]
