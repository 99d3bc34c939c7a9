"""Outages of Redis, the network and processes: no event is lost, repeated or out of order."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.cut_proxy import CutProxy, proxy_to
from tests.journal.driving import assert_saved
from tests.journal.redis_server import Follower, RedisServer, following, needs_redis, publishing, running
from tests.support.programs import Program
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, needs_redis]

SEED = 20_261_125
CUTS = 60
names = (f"outage-{n}" for n in count())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "data") as started:
        yield started


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", next(names))


def work(pipeline: PipelineStatus, first: int, last: int) -> None:
    """Publish two events for each number."""
    for n in range(first, last + 1):
        pipeline.add_processing_file(f"file {n}")
        pipeline.complete_file(f"file {n}", n % 3 > 0)


def assert_exact(url: str, follower: Follower, pipeline: PipelineStatus, last: int) -> None:
    """Assert that reader and journal have each event up to ``last`` once and in order, and that the state is right."""
    wait_until(lambda: len(follower.seqs(pipeline.pipeline_id)) >= last)
    core_of(pipeline).flush(everything=True)
    journal = RedisJournal(url)

    def is_saved() -> bool:
        saved = journal.saved_states().get(pipeline.pipeline_id)
        return saved is not None and saved.fields["last_activity"] == core_of(pipeline).snapshot().last_activity

    wait_until(is_saved)
    assert follower.seqs(pipeline.pipeline_id) == list(range(1, last + 1))
    kept = [e.event.seq for e in journal.read(0, 1_000_000) if e.event.pipeline_id == pipeline.pipeline_id]
    assert kept == list(range(1, last + 1))
    assert_saved(journal.saved_states()[pipeline.pipeline_id], pipeline)
    journal.close()


def test_redis_killed_and_restarted_with_its_file(server: RedisServer, pipeline: PipelineStatus) -> None:
    with publishing(server.url, pipeline) as publisher, following(server.url) as follower:
        for turn in range(4):
            work(pipeline, turn * 100 + 1, turn * 100 + 50)
            server.kill()
            work(pipeline, turn * 100 + 51, turn * 100 + 100)
            wait_until(lambda: publisher.degraded)
            assert publisher.errors
            server.start()
        assert_exact(server.url, follower, pipeline, 800)
        assert follower.gaps == 0
        wait_until(lambda: not publisher.errors)


def test_redis_frozen_for_longer_than_the_timeouts(server: RedisServer, pipeline: PipelineStatus) -> None:
    with (
        publishing(server.url, pipeline, timeout_seconds=0.3) as publisher,
        following(server.url, timeout_seconds=0.3) as follower,
    ):
        for turn in range(4):
            work(pipeline, turn * 100 + 1, turn * 100 + 50)
            wait_until(lambda: len(follower.events) == turn * 200 + 100)  # noqa: B023 - waited for right here
            server.freeze()
            # A batch is in the server's buffer now, and is written when the server continues, after the timeout.
            work(pipeline, turn * 100 + 51, turn * 100 + 100)
            wait_until(lambda: "did not answer within" in str(publisher.degraded))
            wait_until(lambda: follower.reader.degraded)
            server.thaw()
        assert_exact(server.url, follower, pipeline, 800)
        assert follower.gaps == 0


def test_a_network_that_stalls_and_then_delivers_everything(server: RedisServer, pipeline: PipelineStatus) -> None:
    with (
        proxy_to(server.port) as proxy,
        publishing(server.url_by(proxy.port), pipeline, timeout_seconds=0.3) as publisher,
        following(server.url) as follower,
    ):
        work(pipeline, 1, 50)
        wait_until(lambda: len(follower.events) == 100)
        for turn in range(1, 4):
            proxy.stall()
            work(pipeline, turn * 50 + 1, turn * 50 + 50)
            wait_until(lambda: publisher.degraded)
            proxy.mend()
            wait_until(lambda: len(follower.events) >= turn * 100 + 100)  # noqa: B023 - waited for right here
        assert_exact(server.url, follower, pipeline, 400)


def test_connections_cut_in_the_middle_of_answers(
    server: RedisServer, pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.retry.FIRST_SECONDS", 0.01)
    draw = random.Random(SEED)

    def cut_some(piece: bytes) -> int | None:
        # Often nothing of the answer arrives: the command has run, and nobody knows.
        return draw.choice([0, draw.randrange(len(piece))]) if proxy.cuts < CUTS and draw.random() < 0.15 else None

    with proxy_to(server.port) as proxy, following(server.url) as follower:
        proxy.on_answer = cut_some
        with publishing(server.url_by(proxy.port), pipeline):
            done = 0
            while proxy.cuts < CUTS or done < 1000:
                work(pipeline, done + 1, done + draw.randrange(1, 40))
                done = core_of(pipeline).snapshot().seq // 2
                wait_until(lambda: len(follower.events) > 2 * done - 60)  # noqa: B023 - waited for right here
            assert_exact(server.url, follower, pipeline, 2 * done)
    assert follower.gaps == 0


def test_connections_cut_and_redis_killed_at_random(server: RedisServer, pipeline: PipelineStatus) -> None:
    draw = random.Random(SEED + 1)
    with (
        proxy_to(server.port) as proxy,
        publishing(server.url_by(proxy.port), pipeline, timeout_seconds=0.5),
        following(server.url, timeout_seconds=0.5) as follower,
    ):
        for turn in range(12):
            work(pipeline, turn * 100 + 1, turn * 100 + 100)
            _harm(draw, server, proxy)
            wait_until(lambda: len(follower.events) >= turn * 200)  # noqa: B023 - waited for right here
        assert_exact(server.url, follower, pipeline, 2400)
        assert follower.gaps == 0


def _harm(draw: random.Random, server: RedisServer, proxy: CutProxy) -> None:
    match draw.randrange(3):
        case 0:
            server.restart()
        case 1:
            proxy.cut()
            proxy.mend()
        case _:
            server.freeze()
            timer = threading.Timer(draw.uniform(0.05, 1.2), server.thaw)
            timer.start()
            timer.join()


def test_redis_restarted_empty_gets_the_pipelines_again(server: RedisServer, pipeline: PipelineStatus) -> None:
    idle = PipelineStatus("google_drive", next(names))
    with publishing(server.url, pipeline, idle) as publisher, following(server.url) as follower:
        idle.update(status="idle", own={"mine": 7})
        idle.add_processing_file("in flight")
        work(pipeline, 1, 20)
        wait_until(lambda: len(follower.events) == 42 and not publisher._outbox.waiting)
        server.kill()
        work(pipeline, 21, 30)
        wait_until(lambda: publisher.degraded)
        server.restart(empty=True)
        wait_until(lambda: follower.gaps == 1)
        work(pipeline, 31, 40)
        wait_until(lambda: follower.seqs(pipeline.pipeline_id)[-1] == 80)
        journal = RedisJournal(server.url)

        def is_known() -> bool:
            core_of(idle).flush(everything=True)
            core_of(pipeline).flush(everything=True)
            saved = journal.saved_states()
            return all(
                p.pipeline_id in saved and saved[p.pipeline_id].seq == core_of(p).snapshot().seq
                for p in (idle, pipeline)
            )

        wait_until(is_known)
        wait_until(lambda: publisher.queued == 0)
        assert_saved(journal.saved_states()[idle.pipeline_id], idle)
        # Events that did not reach Redis before the kill are in the new journal, each once.
        kept = [e.event.seq for e in journal.read(0, 1000) if e.event.pipeline_id == pipeline.pipeline_id]
        assert kept == list(range(41, 81))
        assert follower.gaps == 1
        journal.close()


def test_redis_restarted_twice_without_its_last_second_marks_the_gap(tmp_path: Path, pipeline: PipelineStatus) -> None:
    with running(tmp_path / "older", "--appendonly", "no") as server, publishing(server.url, pipeline) as publisher:

        def written(first: int, last: int, more: int) -> None:
            work(pipeline, first, last)
            journal = RedisJournal(server.url)
            wait_until(lambda: len(journal.read(0, 100)) >= more and not publisher._outbox.waiting)
            journal.close()

        written(1, 2, 4)
        connection = server.connection()
        connection.call("SAVE")
        connection.close()
        for turn in range(1, 3):
            server.restart()  # the second time it has also lost the first restart
            written(turn * 10, turn * 10 + 1, 7 + turn)
        journal = RedisJournal(server.url)
        events = [entry.event for entry in journal.read(0, 100)]
        seqs = [event.seq for event in events]
        assert seqs == sorted(seqs)
        assert seqs[:4] == [1, 2, 3, 4]
        assert seqs[4] > 8
        assert seqs[-1] == 12
        assert any(event.payload().get("gap") for event in events[4:])
        journal.close()


def test_redis_away_for_longer_than_events_are_queued(server: RedisServer, pipeline: PipelineStatus) -> None:
    with publishing(server.url, pipeline, limit=100) as publisher, following(server.url) as follower:
        work(pipeline, 1, 20)
        wait_until(lambda: len(follower.events) == 40)
        server.kill()
        work(pipeline, 21, 300)
        wait_until(lambda: publisher.degraded)
        server.start()
        wait_until(lambda: follower.events[-1][1] == 600)
        work(pipeline, 301, 310)
        wait_until(lambda: follower.events[-1][1] == 620)
        events = [e.event for e in follower.entries if e.event.numbered]
        gaps = [event for event in events if event.payload().get("gap")]
        # More events may be dropped while the first gap waits to be sent; then there is another gap.
        assert {event.name for event in gaps} == {"pipeline:status"}
        # The state in a gap is that of its sending, which may come after more work.
        assert 300 <= gaps[-1].payload()["total_processed"] + gaps[-1].payload()["total_failed"] <= 310
        seqs = follower.seqs(pipeline.pipeline_id)
        assert seqs == sorted(set(seqs))
        # A batch may have been made before the rest was dropped: it is complete, and comes before the gap.
        at = seqs.index(gaps[0].seq)
        assert seqs[:at] == list(range(1, at + 1))
        assert 600 <= gaps[-1].seq <= 620
        assert seqs[seqs.index(gaps[-1].seq) :] == list(range(gaps[-1].seq, 621))
        assert publisher.dropped > 0


OWNER = """
import sys
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.status.pipeline import core_of, PipelineStatus
pipeline = PipelineStatus("local_files", sys.argv[2])
core = core_of(pipeline)
publisher = RedisPublisher(sys.argv[1], lambda _: core.status_event(), lease_seconds=float(sys.argv[3])).start()
publisher.wait(publisher.claim([sys.argv[2]]))
core_of(pipeline).attach(publisher)
pipeline.update(status="running")
print("claimed", flush=True)
for line in sys.stdin:
    pipeline.add_processing_file(line.strip())
publisher.stop()
"""


def test_a_killed_process_is_stalled_and_its_pipeline_can_be_taken_over(server: RedisServer) -> None:
    journal = RedisJournal(server.url)
    with Program("-c", OWNER, server.url, "p", "1") as owner, publishing(server.url) as other:
        owner.expect("claimed")
        wait_until(lambda: len(journal.read(0, 10)) == 1)
        with pytest.raises(JournalError, match=r"is published by process \d+ on host .+ already$"):
            other.wait(other.claim(["p"]))
        owner.signal(signal.SIGKILL)
        wait_until(lambda: journal.stalled(0.5) == ["p"])
        wait_until(lambda: _can_claim(other, "p"))
        assert journal.stalled(0.5) == []
        saved = journal.saved_states()["p"]
        assert (saved.seq, saved.fields["status"]) == (1, "running")
    journal.close()


def test_a_process_that_stopped_normally_is_not_stalled(server: RedisServer) -> None:
    journal = RedisJournal(server.url)
    with Program("-c", OWNER, server.url, "p", "1") as owner:
        owner.expect("claimed")
        owner.end_of_input()
        assert owner.exit_code() == 0
    assert journal.stalled(0) == []
    assert journal.saved_states()["p"].seq == 1
    journal.close()


def test_a_process_frozen_during_a_takeover_writes_nothing_more(server: RedisServer) -> None:
    journal = RedisJournal(server.url)
    with Program("-c", OWNER, server.url, "p", "1") as owner, publishing(server.url) as other:
        owner.expect("claimed")
        wait_until(lambda: len(journal.read(0, 10)) == 1)
        owner.signal(signal.SIGSTOP)
        wait_until(lambda: _can_claim(other, "p"))
        owner.signal(signal.SIGCONT)
        owner.expect(f"was taken over by process {os.getpid()} on host")
        owner.end_of_input()
        assert owner.exit_code() == 0
        assert owner.output.count("was taken over") == 1
        assert len(journal.read(0, 10)) == 1
    journal.close()


def test_three_publishers_and_two_readers_see_one_order(server: RedisServer) -> None:
    pipelines = [PipelineStatus("local_files", next(names)) for _ in range(3)]
    with following(server.url) as first, following(server.url) as second:
        threads = [threading.Thread(target=_publish_alone, args=(server.url, pipeline)) for pipeline in pipelines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        wait_until(lambda: len(first.events) >= 3000 and len(second.events) >= 3000)
        wait_until(lambda: len(first.entries) == len(second.entries))
        assert [(e.position, e.text) for e in first.entries] == [(e.position, e.text) for e in second.entries]
        for pipeline in pipelines:
            assert first.seqs(pipeline.pipeline_id) == list(range(1, 1001))
        positions = [e.position for e in first.entries]
        assert positions == sorted(set(positions))
        # The publishers did interleave.
        assert len({pipeline_id for pipeline_id, _ in first.events[:1500]}) > 1


def _publish_alone(url: str, pipeline: PipelineStatus) -> None:
    with publishing(url, pipeline):
        work(pipeline, 1, 500)


def _can_claim(publisher: RedisPublisher, pipeline_id: str) -> bool:
    try:
        publisher.wait(publisher.claim([pipeline_id]))
    except JournalError:
        return False
    return True
