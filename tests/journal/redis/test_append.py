"""What the script that writes a batch guarantees, whatever order copies of it arrive in."""

from __future__ import annotations

import pytest

from rag_pipeline.contract.events import Event
from rag_pipeline.journal import FileStatus
from rag_pipeline.journal.redis.batch import Batch, BatchWriter, Line
from rag_pipeline.journal.redis.connection import Link, RedisUnavailableError
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import Keys, pairs
from rag_pipeline.journal.redis.lease import Holder, IdentityChangedError, Verdict, Word
from rag_pipeline.status.model import FileBody, FileRecord
from tests.journal.redis_server import needs_redis

pytestmark = needs_redis

KEYS = Keys()


def event(seq: int, pipeline_id: str = "p", file: str = "a", name: str = "pipeline:file_processing_started") -> Event:
    body = FileBody(FileRecord(file, None, started_at=1.0))
    return Event(name, ("/local_files", "/pipeline"), pipeline_id, "local_files", "e", seq, float(seq), body)


class Process:
    """One process as a writer."""

    def __init__(self, link: Link, **limits: int) -> None:
        self.link = link
        self.holder = Holder(KEYS)
        self.writer = BatchWriter(link, KEYS, self.holder, **limits)
        self.writer.adopt()

    def claim(self, *pipeline_ids: str) -> None:
        for pipeline_id in pipeline_ids:
            self.holder.claim(self.link, self.writer.identity, pipeline_id)

    def words(self, batch: Batch) -> dict[str, Word]:
        return {name: verdict.word for name, verdict in self.writer.write(batch).verdicts.items()}


def batch_of(process: Process, events: list[Event]) -> Batch:
    return process.writer.batch([Line.of(event) for event in events])


@pytest.fixture
def process(link: Link) -> Process:
    process = Process(link)
    process.claim("p", "q")
    return process


def seqs(link: Link) -> list[int]:
    return [int(pairs(fields)["seq"]) for _, fields in link.call("XRANGE", KEYS.events, "-", "+")]


def test_a_batch_that_arrives_twice_is_written_once(link: Link, process: Process) -> None:
    batch = batch_of(process, [event(1), event(2), event(1, "q")])
    assert process.words(batch) == {"p": Word.OK, "q": Word.OK}
    assert process.words(batch) == {"p": Word.WRITTEN, "q": Word.WRITTEN}
    assert seqs(link) == [1, 2, 1]


def test_a_copy_that_arrives_after_later_batches_is_not_written(link: Link, process: Process) -> None:
    first, second = batch_of(process, [event(1)]), batch_of(process, [event(2)])
    assert process.words(first) == {"p": Word.OK}
    assert process.words(second) == {"p": Word.OK}
    assert process.words(first) == {"p": Word.WRITTEN}
    assert seqs(link) == [1, 2]


def test_a_copy_that_arrives_after_another_process_took_over_is_not_written(link: Link, process: Process) -> None:
    late = batch_of(process, [event(1)])
    process.holder.release(link, "p")
    other = Process(link)
    other.claim("p")
    assert other.words(batch_of(other, [event(7)])) == {"p": Word.OK}
    assert process.words(late) == {"p": Word.LOST}
    other.holder.release(link, "p")
    assert process.words(late) == {"p": Word.LOST}  # also when that one has gone
    assert seqs(link) == [7]


def test_pipelines_of_one_batch_are_judged_one_by_one(link: Link, process: Process) -> None:
    Process(link)
    link.call("SET", KEYS.owner("p"), "another 1 host")
    verdicts = process.writer.write(batch_of(process, [event(1), event(1, "q"), event(2)])).verdicts
    assert verdicts["p"] == Verdict(Word.LOST, "another 1 host")
    assert verdicts["q"].word is Word.OK
    assert link.call("HGET", KEYS.files("p"), "name:a") is None
    assert len(seqs(link)) == 1


def test_a_lease_that_ran_out_and_that_no_one_took_is_told(link: Link, process: Process) -> None:
    link.call("DEL", KEYS.owner("p"))
    batch = batch_of(process, [event(1)])
    assert process.words(batch) == {"p": Word.EXPIRED}
    process.claim("p")
    assert process.words(batch) == {"p": Word.OK}


def test_a_server_that_has_lost_a_confirmed_batch_is_behind(link: Link, process: Process) -> None:
    before = dict(process.writer.confirmed)
    assert process.words(batch_of(process, [event(1)])) == {"p": Word.OK}
    link.call("HSET", KEYS.pipeline("p"), "batch", before.get("p", 0), "done", before.get("p", 0))
    assert process.words(batch_of(process, [event(2)])) == {"p": Word.BEHIND}
    link.call("DEL", KEYS.pipeline("p"))
    assert process.words(batch_of(process, [event(2)])) == {"p": Word.BEHIND}
    assert seqs(link) == [1]


def test_a_journal_that_was_emptied_is_not_written_to(link: Link, process: Process) -> None:
    link.call("FLUSHALL")
    with pytest.raises(IdentityChangedError):
        process.writer.write(batch_of(process, [event(1)]))
    adopt(link, KEYS)
    with pytest.raises(IdentityChangedError):
        process.writer.write(batch_of(process, [event(1)]))
    assert seqs(link) == []


def test_stream_state_and_files_are_written_together(link: Link, process: Process) -> None:
    written = process.writer.write(batch_of(process, [event(1), event(2, file="b")]))
    assert all(written.ids)
    known = pairs(link.call("HGETALL", KEYS.pipeline("p")))
    assert (known["seq"], known["epoch"], known["position"]) == ("2", "e", written.ids[-1])
    row = link.call("HGET", KEYS.files("p"), "name:b")
    assert row.split(" ")[:2] == ["processing", written.ids[-1]]
    assert link.call("ZRANGE", KEYS.files_by_change("p", FileStatus.PROCESSING), 0, -1) == ["name:a", "name:b"]


def test_a_server_out_of_memory_refuses_the_batch_as_a_whole(link: Link, process: Process) -> None:
    link.call("CONFIG", "SET", "maxmemory", "1")
    batch = batch_of(process, [event(1), event(2)])
    try:
        with pytest.raises(RedisUnavailableError, match=r"refused a command: .*memory"):
            process.writer.write(batch)
    finally:
        link.call("CONFIG", "SET", "maxmemory", "0")
    assert seqs(link) == []
    assert link.call("EXISTS", KEYS.files("p")) == 0
    assert process.words(batch) == {"p": Word.OK}


def test_the_stream_and_the_files_that_ended_are_bounded(link: Link) -> None:
    process = Process(link, max_events=200, max_files=50)
    process.claim("p")
    for start in range(1, 1001, 100):
        batch = [event(seq, file=str(seq), name="pipeline:file_completed") for seq in range(start, start + 100)]
        process.writer.write(batch_of(process, [event(start, file="in flight"), *batch]))
    assert 200 <= len(seqs(link)) < 400  # whole nodes of the stream are removed
    assert link.call("HLEN", KEYS.files("p")) == 50
    assert link.call("HGET", KEYS.files("p"), "name:in flight").startswith("processing ")
    completed = link.call("ZRANGE", KEYS.files_by_change("p", FileStatus.COMPLETED), 0, -1)
    assert completed == [f"name:{n}" for n in range(952, 1001)]
