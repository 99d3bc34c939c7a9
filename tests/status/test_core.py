"""Events, statuses and flushes that a core publishes to its sinks."""

from __future__ import annotations

import itertools
import json
import logging
import random
import sys
import threading
import time

import pytest

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status import clocks
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import DueFlush
from rag_pipeline.status.throttle import StatusThrottle
from tests.status.flushing import Clock, Deliverer
from tests.support.recorder import Recorder
from tests.support.state_client import StateClient, without_volatile
from tests.support.waiting import wait_until


def test_each_pipeline_has_its_own_epoch() -> None:
    assert PipelineStatus("x", "one").get()["epoch"] != PipelineStatus("x", "one").get()["epoch"]


def test_a_sink_gets_the_state_first_and_nothing_after_detach(pipeline: PipelineStatus) -> None:
    pipeline.update(status="running")
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    core_of(pipeline).attach(recorder)
    assert [(e.name, e.seq) for e in recorder.events] == [(events.STATUS, 1)]
    core_of(pipeline).detach(recorder)
    pipeline.update(status="idle")
    assert len(recorder.events) == 1
    pipeline.close()
    pipeline.close()
    core_of(pipeline).attach(recorder)
    assert len(recorder.events) == 1


def test_held_back_progress_goes_out_before_the_file_ends(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.add_processing_file("a")
    for n in range(11):
        pipeline.file_progress("a", "s", n / 10)
    pipeline.complete_file("a")
    assert recorder.names == [
        events.FILE_STARTED,
        events.FILE_PROGRESS,
        events.FILE_PROGRESS,
        events.FILE_COMPLETED,
    ]
    assert [e.payload()["file"]["progress"] for e in recorder.changes] == [None, 0.0, 1.0, 1.0]
    assert [e.seq for e in recorder.changes] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_fresh_status_follows_file_events_at_most_10_a_second(pipeline: PipelineStatus) -> None:
    with Deliverer(pipeline) as recorder:
        began = time.monotonic()
        while time.monotonic() < began + 0.55:
            pipeline.add_processing_file("a")
            pipeline.complete_file("a")
            time.sleep(0.001)
        wait_until(lambda: recorder.events[-1].name == events.STATUS)
        took = time.monotonic() - began
    statuses = [e for e in recorder.events if e.name == events.STATUS][1:]  # the first came with attach()
    assert 1 <= len(statuses) <= took * 10 + 1
    assert all(later.at - earlier.at >= 0.099 for earlier, later in itertools.pairwise(statuses))
    assert without_volatile(statuses[-1].body.to_json(0)) == without_volatile(pipeline.get())


def test_a_status_goes_with_a_file_event_or_is_due_within_100_ms_of_it(
    pipeline: PipelineStatus, recorder: Recorder
) -> None:
    pipeline.add_processing_file("a")
    assert [e.name for e in recorder.events] == [events.FILE_STARTED, events.STATUS]
    for _ in range(3):
        now = time.monotonic()
        pipeline.add_processing_file("a")
        assert recorder.events[-1].name == events.FILE_STARTED, "the last status was just now"
        flushes = [item for item in recorder.items if isinstance(item, DueFlush)]
        assert flushes[-1].due <= now + 0.1 + 0.005
        wait_until(lambda due=flushes[-1].due: time.monotonic() >= due)  # type: ignore[misc]
        core_of(pipeline).flush()
        assert recorder.events[-1].name == events.STATUS


def test_timestamps_of_statuses_keep_their_distance_on_a_busy_machine(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread suspended between two readings of the clock waits for a turn of other threads, some 10 ms.
    dice = random.Random(1)
    clock = Clock(monkeypatch, (0.03 if dice.random() < 0.05 else 0.0 for _ in itertools.count()))
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    for _ in range(3000):
        pipeline.add_processing_file("a")
        pipeline.complete_file("a")
        core_of(pipeline).flush()
        clock.sleep(0.001)
    statuses = [e for e in recorder.events if e.name == events.STATUS][1:]  # the first came with attach()
    assert len(statuses) > 30
    assert min(later.at - earlier.at for earlier, later in itertools.pairwise(statuses)) > 0.099


@pytest.mark.parametrize("everything", [False, True])
def test_a_status_follows_progress_that_was_held_back(
    pipeline: PipelineStatus, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    clock = Clock(monkeypatch)
    pipeline.add_processing_file("a")
    for fraction in (0.1, 0.2):  # the second is held back
        pipeline.file_progress("a", "chunking", fraction)
    pipeline.update(status="running")
    for _ in range(1 if everything else 30):  # 300 ms; a stopping server flushes everything once
        clock.sleep(0.01)
        core_of(pipeline).flush(everything=everything)
    assert recorder.changes[-1].name == events.FILE_PROGRESS
    newest = recorder.events[-1]
    assert newest.name == events.STATUS
    assert newest.at <= recorder.changes[-1].at + 0.1
    assert without_volatile({k: v for k, v in newest.payload().items() if k != "timestamp"}) == without_volatile(
        pipeline.get()
    )


def test_each_sink_gets_one_due_flush_at_a_time(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers flush when due while files come in."""
    clock = Clock(monkeypatch)
    servers = [(Recorder(), itertools.count(1)), (Recorder(), itertools.count(1))]
    for sink, _ in servers:
        core_of(pipeline).attach(sink)
    for number in range(500):
        pipeline.add_processing_file(f"{number}")
        for sink, flushes in servers:
            due = [i for i in sink.items if isinstance(i, DueFlush) and i.due <= time.monotonic()]
            sink.items[:] = [item for item in sink.items if item not in due]
            for _ in due:
                core_of(pipeline).flush()
                assert next(flushes) < 55, "5 seconds, one status each 100 ms"
                pipeline.add_processing_file(f"{number} again")
        clock.sleep(0.01)


def test_progress_is_limited_for_each_file_and_the_last_value_arrives(pipeline: PipelineStatus) -> None:
    pipeline.add_processing_file("a")
    pipeline.add_processing_file("b")
    with Deliverer(pipeline) as recorder:
        began = time.monotonic()
        for n in range(301):
            for name in ("a", "b"):
                pipeline.file_progress(name, "s", n / 300)
            time.sleep(0.001)

        def shown(name: str) -> list[float]:
            files = [e.payload()["file"] for e in recorder.events if e.name == events.FILE_PROGRESS]
            return [f["progress"] for f in files if f["name"] == name]

        wait_until(lambda: shown("a")[-1:] == [1.0] == shown("b")[-1:])
        took = time.monotonic() - began
        for name in ("a", "b"):
            assert shown(name) == sorted(set(shown(name)))
            assert len(shown(name)) <= took * 10 + 1
    client = StateClient()
    for event in recorder.events:
        client.follow(event.name, event.payload())


def test_a_lost_due_flush_is_published_again(
    pipeline: PipelineStatus, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.update(status="running")
    pipeline.add_processing_file("a")
    recorder.items.clear()  # the mailbox overflowed
    pipeline.add_processing_file("b")
    assert [type(item) for item in recorder.items] == [PipelineEvent]
    later = time.monotonic() + 2
    monkeypatch.setattr(clocks, "monotonic", lambda: later)
    pipeline.file_progress("b", "chunking")
    pipeline.update(status="idle")
    pipeline.file_progress("b", "embedding")  # held back
    assert DueFlush in [type(item) for item in recorder.items]


def test_the_events_of_many_threads_rebuild_the_state(pipeline: PipelineStatus) -> None:
    pipeline.update(status="running")
    names = [f"f{n}" for n in range(6)]
    logging.getLogger("rag_pipeline.status").disabled = True

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(250):
            name, file_id = dice.choice(names), dice.choice([None, "1", "2"])
            act = dice.randrange(8)
            if act <= 1:
                pipeline.add_processing_file(name, file_id, size=dice.randrange(99))
            elif act <= 3:
                pipeline.file_progress(name, "s", dice.random(), file_id=file_id)
            elif act == 4:
                pipeline.complete_file(name, dice.random() < 0.6, file_id=file_id)
            elif act == 5:
                pipeline.skip_file(name, "why", file_id=file_id)
            elif act == 6:
                pipeline.delete_file(name, file_id=file_id)
            else:
                pipeline.update(files_queued=dice.randrange(9), own={"mine": dice.random()})

    switch = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-5)
        with Deliverer(pipeline) as recorder:
            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
    finally:
        sys.setswitchinterval(switch)
        logging.getLogger("rag_pipeline.status").disabled = False
    core_of(pipeline).flush(everything=True)
    client = StateClient()
    for event in recorder.events:
        client.follow(event.name, json.loads(json.dumps(event.payload(), allow_nan=False)))
    assert client.state is not None
    assert without_volatile(client.state) == without_volatile(pipeline.get())
    newest = next(e for e in reversed(recorder.events) if e.name == events.STATUS)
    assert without_volatile({k: v for k, v in newest.payload().items() if k != "timestamp"}) == without_volatile(
        pipeline.get()
    )


def test_a_flush_publishes_the_next_due_flush_if_a_status_is_still_owed() -> None:
    core, recorder = StatusCore("local_files", "owing"), Recorder()
    core.attach(recorder)
    core._throttle = StatusThrottle(sent=time.monotonic(), status_due=time.monotonic() + 60, flush_due=0.0)
    recorder.items.clear()
    core.flush()
    assert [type(item) for item in recorder.items] == [DueFlush]
