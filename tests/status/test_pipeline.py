"""PipelineStatus: what each call changes and emits, from wherever it is called."""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.status import FlushRequest, PipelineStatus, checks, clocks, core_of
from rag_pipeline.status.files import key_of
from rag_pipeline.status.pipeline import DefaultPipelineStatus
from tests.support.recorder import Recorder, untyped
from tests.support.state_client import JsonDict, StateClient, without_volatile
from tests.support.waiting import wait_until


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", "under-test")


@pytest.fixture
def recorder(pipeline: PipelineStatus) -> Recorder:
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    recorder.items.clear()
    return recorder


class Clock:
    """Both clocks, standing still until :meth:`sleep`; a reading can lose the processor, as ``lost`` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lost: Iterator[float] | None = None) -> None:
        self._seconds = 1000.0
        self._lost = lost or itertools.repeat(0.0)
        monkeypatch.setattr(clocks, "monotonic", self._read)
        monkeypatch.setattr(clocks, "wall", lambda: 1_700_000_000.0 + self._read())

    def _read(self) -> float:
        read = self._seconds
        self._seconds += next(self._lost)
        return read

    def sleep(self, seconds: float) -> None:
        self._seconds += seconds


class Deliverer:
    """Runs flushes when they are due, as the hub does; a context manager around its thread."""

    def __init__(self, pipeline: PipelineStatus) -> None:
        self.recorder = Recorder()
        self._pipeline = pipeline
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        seen = 0
        due: list[float] = []
        while not self._stop.is_set():
            items = self.recorder.items
            due += [item.due for item in items[seen:] if isinstance(item, FlushRequest)]
            seen = len(items)
            if due and min(due) <= time.monotonic():
                due = [at for at in due if at > time.monotonic()]
                core_of(self._pipeline).flush()
            self._stop.wait(0.002)

    def __enter__(self) -> Recorder:
        core_of(self._pipeline).attach(self.recorder)
        self._thread.start()
        return self.recorder

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


# -- what each call does -----------------------------------------------------------------------------------------------


def test_a_new_pipeline_knows_nothing_and_says_so_with_null(pipeline: PipelineStatus) -> None:
    state = pipeline.get()
    assert state["status"] == "initializing"
    assert (state["seq"], state["pipeline_id"], state["pipeline_type"]) == (0, "under-test", "local_files")
    assert state["started_at"].endswith("+00:00")
    for key in ("files_per_minute", "eta_seconds", "files_queued", "last_activity", "seconds_until_next_check"):
        assert state[key] is None
    assert not core_of(pipeline).reported


def test_update_sets_fields_and_own_ones_and_emits_the_state(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.update(
        status="scanning",
        is_checking=True,
        check_interval=30,
        files_queued=7,
        last_check_time="2024-05-01T12:00:00+00:00",
        seconds_until_next_check=60,
        own={"folder": {"path": "inbox", "depth": [1, 2]}},
    )
    assert recorder.names == [events.STATUS]
    state = pipeline.get()
    assert without_volatile({k: v for k, v in recorder.last.items() if k != "timestamp"}) == without_volatile(state)
    assert state["folder"] == {"path": "inbox", "depth": [1, 2]}
    assert state["last_check_time"] == "2024-05-01T12:00:00.000+00:00"
    assert 58 < state["seconds_until_next_check"] <= 60
    assert (state["status"], state["is_checking"], state["files_queued"], state["seq"]) == ("scanning", True, 7, 1)


def test_update_takes_a_field_of_any_name(pipeline: PipelineStatus) -> None:
    pipeline.update(own={"self": 1, "own": 2, "totals": 3, "fields": 4})
    state = pipeline.get()
    assert [state[k] for k in ("self", "own", "totals", "fields")] == [1, 2, 3, 4]


def test_update_with_nothing_still_tells_the_state(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.update()
    assert (recorder.names, pipeline.get()["seq"]) == ([events.STATUS], 1)


def test_get_is_a_deep_copy(pipeline: PipelineStatus) -> None:
    mine = {"list": [1]}
    pipeline.update(own={"own_field": mine})
    pipeline.complete_file("a", result=mine)
    mine["list"].append(2)
    state = pipeline.get()
    state["own_field"]["list"].append(3)
    state["files_completed"][0]["result"]["list"].append(4)
    state["files_completed"].clear()
    assert pipeline.get()["own_field"] == {"list": [1]}
    assert pipeline.get()["files_completed"][0]["result"] == {"list": [1]}


def test_a_file_goes_from_started_to_completed(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.add_processing_file("a.pdf", "1", size=9, mime_type="application/pdf", link="http://x")
    pipeline.file_progress("a.pdf", "chunking", 0.5)
    working = pipeline.get()["files_processing"]
    assert [(f["name"], f["id"], f["stage"], f["progress"], f["attempt"]) for f in working] == [
        ("a.pdf", "1", "chunking", 0.5, 1)
    ]
    pipeline.complete_file("a.pdf", result={"chunks": 2})
    assert recorder.names == [events.FILE_STARTED, events.FILE_PROGRESS, events.FILE_COMPLETED]
    file = recorder.last["file"]
    assert file == pipeline.get()["files_completed"][0]
    assert (file["result"], file["duration_seconds"] >= 0, file["completed_at"] is not None) == (
        {"chunks": 2},
        True,
        True,
    )
    assert recorder.last["totals"]["total_processed"] == pipeline.get()["total_processed"] == 1


def test_failure_skip_and_delete_are_counted_and_shown(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.add_processing_file("a")
    pipeline.complete_file("a", success=False, error={"type": "T", "message": "m", "retryable": True})
    pipeline.skip_file("b", "too large")
    pipeline.delete_file("c")
    assert recorder.names[1:] == [events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED]
    state = pipeline.get()
    assert state["files_failed"][0]["error"] == {"type": "T", "message": "m", "stage": None, "retryable": True}
    assert state["files_skipped"][0]["error"]["message"] == "too large"
    assert [state[f"total_{k}"] for k in ("processed", "failed", "skipped", "deleted")] == [0, 1, 1, 1]
    assert recorder.last["totals"] == {k: v for k, v in state.items() if k.startswith("total_")}


def test_a_file_that_was_never_started_is_counted_with_one_warning(
    pipeline: PipelineStatus, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.complete_file("a", file_id="1")
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == [
        "file 'a' was completed but never started"
    ]
    file = recorder.last["file"]
    assert (file["name"], file["id"], file["started_at"], file["duration_seconds"]) == ("a", "1", None, None)
    assert (recorder.names, pipeline.get()["total_processed"]) == ([events.FILE_COMPLETED], 1)


def test_progress_of_a_file_not_in_flight_changes_nothing(
    pipeline: PipelineStatus, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    before = pipeline.get()
    pipeline.file_progress("a", "s")
    assert len(caplog.records) == 1
    assert (recorder.items, pipeline.get()) == ([], before)


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


# -- arguments ---------------------------------------------------------------------------------------------------------

BAD_CALLS: list[Callable[[PipelineStatus], object]] = [
    lambda p: untyped(p).update(status=None),
    lambda p: p.update(status=""),
    lambda p: untyped(p).update(status=3),
    lambda p: p.update(status="ok", own={"own": math.nan}),
    lambda p: p.update(status="ok", own={"own": object()}),
    lambda p: untyped(p).update(**{"status": "ok", "\udcff": 1}),
    lambda p: untyped(p).update(**{"status": "ok", "": 1}),
    lambda p: p.update(status="ok", own={"seq": 3}),
    lambda p: p.update(own={"epoch": "x"}),
    lambda p: p.update(own={"pipeline_id": "x"}),
    lambda p: p.update(own={"timestamp": "x"}),
    lambda p: p.update(own={"total_processed": 3}),
    lambda p: p.update(own={"files_completed": []}),
    lambda p: p.update(files_queued=-1),
    lambda p: untyped(p).update(files_queued=1.5),
    lambda p: untyped(p).update(is_checking=1),
    lambda p: untyped(p).update(started_at=None),
    lambda p: p.update(next_check_time="soon"),
    lambda p: p.update(next_check_time="9999-12-31T23:59:59-12:00"),
    lambda p: p.update(seconds_until_next_check=1e300),
    lambda p: p.update(seconds_until_next_check=math.inf),
    lambda p: p.update(check_interval=10**400),
    lambda p: p.update(pipeline_type=""),
    lambda p: untyped(p).update(**{f"f{n}": n for n in range(257)}),
    lambda p: p.add_processing_file(""),
    lambda p: p.add_processing_file(None),  # type: ignore[arg-type]
    lambda p: p.add_processing_file("b", 5.5),  # type: ignore[arg-type]
    lambda p: p.add_processing_file("b", ""),
    lambda p: p.add_processing_file("b", size=-1),
    lambda p: p.add_processing_file("b", mime_type=b"x"),  # type: ignore[arg-type]
    lambda p: p.add_processing_file("b", link=1j),  # type: ignore[arg-type]
    lambda p: p.file_progress("a", ""),
    lambda p: p.file_progress("a", "s", 1.5),
    lambda p: p.file_progress("a", "s", math.nan),
    lambda p: p.file_progress("a", "s", "half"),  # type: ignore[arg-type]
    lambda p: p.complete_file("a", result=math.inf),
    lambda p: p.complete_file("a", result={b"1": 2}),
    lambda p: p.complete_file("a", error="x"),
    lambda p: p.complete_file("a", success=False, error=3),  # type: ignore[arg-type]
    lambda p: p.skip_file("a", ""),
    lambda p: p.skip_file("a", None),  # type: ignore[arg-type]
    lambda p: p.delete_file(""),
]


@pytest.mark.parametrize("call", BAD_CALLS)
def test_a_bad_argument_raises_and_leaves_state_and_events_alone(
    pipeline: PipelineStatus, recorder: Recorder, call: Callable[[PipelineStatus], object]
) -> None:
    pipeline.add_processing_file("a")
    before, sent = pipeline.get(), len(recorder.items)
    with pytest.raises((TypeError, ValueError)):
        call(pipeline)
    assert pipeline.get() == before
    assert len(recorder.items) == sent


@pytest.mark.parametrize("args", [("", None), (3, None), ("x", ""), ("x", "a\nb"), ("x", "y" * 201), ("x", 3)])
def test_a_bad_type_or_id_makes_no_pipeline(args: tuple[Any, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        PipelineStatus(*args)


def test_names_that_are_not_utf8_reach_clients_readable(pipeline: PipelineStatus, recorder: Recorder) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    pipeline.add_processing_file(name)
    pipeline.complete_file(name)
    assert recorder.last["file"]["name"] == "caf\\xe9.txt"
    assert pipeline.get()["files_in_flight"] == 0


# -- identity ----------------------------------------------------------------------------------------------------------


def test_the_id_is_configured_or_type_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_PIPELINE_ID", "configured")
    assert PipelineStatus("x").pipeline_id == "configured"
    monkeypatch.delenv("RAG_PIPELINE_ID")
    monkeypatch.setattr(socket, "gethostname", lambda: "host-name")
    assert PipelineStatus("kind").pipeline_id == "kind-host-name"


def test_the_default_takes_its_id_and_type_with_the_first_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PIPELINE_ID", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: "host-name")
    default, recorder = DefaultPipelineStatus(), Recorder()
    core_of(default).attach(recorder)
    assert recorder.items == []
    default.update(status="running", pipeline_type="google_drive")
    assert recorder.last["pipeline_id"] == "google_drive-host-name"
    assert recorder.events[0].namespaces == ("/google_drive", "/pipeline")
    default.close()


def test_each_pipeline_has_an_epoch_of_its_own() -> None:
    assert PipelineStatus("x", "one").get()["epoch"] != PipelineStatus("x", "one").get()["epoch"]


def test_a_sink_sees_the_state_first_and_nothing_after_it_left(pipeline: PipelineStatus) -> None:
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


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_fresh_status_follows_file_events_at_most_10_a_second(pipeline: PipelineStatus) -> None:
    with Deliverer(pipeline) as recorder:
        began = time.monotonic()
        while time.monotonic() < began + 0.55:
            pipeline.add_processing_file("a")
            pipeline.complete_file("a")
            time.sleep(0.001)
        wait_until(lambda: recorder.events[-1].name == events.STATUS)
        took = time.monotonic() - began
    statuses = [e for e in recorder.events if e.name == events.STATUS][1:]  # the first greeted the sink
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
        requests = [item for item in recorder.items if isinstance(item, FlushRequest)]
        assert requests[-1].due <= now + 0.1 + 0.005
        wait_until(lambda due=requests[-1].due: time.monotonic() >= due)  # type: ignore[misc]
        core_of(pipeline).flush()
        assert recorder.events[-1].name == events.STATUS


def test_statuses_keep_their_distance_by_their_timestamps_however_busy_the_machine(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread that is suspended between two readings of the clock is so for a turn of other threads: some 10 ms.
    dice = random.Random(1)
    clock = Clock(monkeypatch, (0.03 if dice.random() < 0.05 else 0.0 for _ in itertools.count()))
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    for _ in range(3000):
        pipeline.add_processing_file("a")
        pipeline.complete_file("a")
        core_of(pipeline).flush()
        clock.sleep(0.001)
    statuses = [e for e in recorder.events if e.name == events.STATUS][1:]  # the first greeted the sink
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
    for _ in range(1 if everything else 30):  # 300 ms; the flush of everything is the last one, when the servers stop
        clock.sleep(0.01)
        core_of(pipeline).flush(everything=everything)
    assert recorder.changes[-1].name == events.FILE_PROGRESS
    newest = recorder.events[-1]
    assert newest.name == events.STATUS
    assert newest.at <= recorder.changes[-1].at + 0.1
    assert without_volatile({k: v for k, v in newest.payload().items() if k != "timestamp"}) == without_volatile(
        pipeline.get()
    )


def test_each_sink_is_asked_for_one_flush_at_a_time(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two servers flushes when it was asked to, while files come in."""
    clock = Clock(monkeypatch)
    servers = [(Recorder(), itertools.count(1)), (Recorder(), itertools.count(1))]
    for sink, _ in servers:
        core_of(pipeline).attach(sink)
    for number in range(500):
        pipeline.add_processing_file(f"{number}")
        for sink, flushes in servers:
            due = [i for i in sink.items if isinstance(i, FlushRequest) and i.due <= time.monotonic()]
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


def test_a_flush_request_that_was_lost_is_asked_for_again(
    pipeline: PipelineStatus, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.update(status="running")
    pipeline.add_processing_file("a")
    recorder.items.clear()  # the hand-over overflowed
    pipeline.add_processing_file("b")
    assert [type(item) for item in recorder.items] == [Event]
    later = time.monotonic() + 2
    monkeypatch.setattr(clocks, "monotonic", lambda: later)
    pipeline.file_progress("b", "chunking")
    pipeline.update(status="idle")
    pipeline.file_progress("b", "embedding")  # held back
    assert FlushRequest in [type(item) for item in recorder.items]


# -- from wherever it is called ----------------------------------------------------------------------------------------


def test_a_signal_handler_may_report_in_the_middle_of_any_call(pipeline: PipelineStatus, recorder: Recorder) -> None:
    count, numbers = 0, itertools.count()

    def report(_signal: int, _frame: types.FrameType | None) -> None:
        nonlocal count
        count += 1
        number = next(numbers)  # a handler can be interrupted by the next one
        pipeline.update(status=f"signal {number}")
        pipeline.complete_file(f"s{number}")
        pipeline.get()

    former = signal.signal(signal.SIGALRM, report)
    logger = logging.getLogger("rag_pipeline.status")
    logger.disabled = True
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for n in range(1500):
            pipeline.add_processing_file(f"f{n}")
            pipeline.get()
            pipeline.complete_file(f"f{n}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        logger.disabled = False
    assert count > 10
    assert [e.seq for e in recorder.changes] == list(range(1, 3000 + 2 * count + 1))
    assert pipeline.get()["total_processed"] == 1500 + count
    assert not core_of(pipeline)._deferred


def test_a_signal_at_the_very_end_of_a_call_is_served_at_once(pipeline: PipelineStatus, recorder: Recorder) -> None:
    class InTheNickOfTime(list[Any]):
        """Reports when the list of deferred calls was just found to be empty."""

        done = False

        def __bool__(self) -> bool:
            empty = len(self) == 0
            if empty and not self.done:
                self.done = True
                pipeline.update(status="late")
            return not empty

    core_of(pipeline)._deferred = InTheNickOfTime()
    pipeline.update(status="early")
    assert [e.payload()["status"] for e in recorder.events] == ["early", "late"]


SCRIPT_HEAD = """
import sys, threading, time
from rag_pipeline.status import PipelineStatus, core_of
from tests.support.recorder import Recorder
from tests.support.state_client import StateClient, without_volatile
"""


def run_script(body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", body], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


GREENLETS = """
pipeline, recorder = PipelineStatus("local_files", "green"), Recorder()
core_of(pipeline).attach(recorder)
import eventlet
def work(n):
    for i in range(50):
        with pipeline.processing(f"{n}-{i}") as file:
            eventlet.sleep(0)
            file.stage("s", 0.5)
            eventlet.sleep(0)
threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(2)]
for t in threads: t.start()
greenlets = [eventlet.spawn(work, f"g{n}") for n in range(20)]
for g in greenlets: g.wait()
for t in threads: t.join()
client = StateClient()
core_of(pipeline).flush(everything=True)
for e in recorder.events: client.follow(e.name, e.payload())
assert without_volatile(client.state) == without_volatile(pipeline.get())
print(pipeline.get()["total_processed"])
"""


def test_eventlet_greenlets_in_an_unpatched_host() -> None:
    assert run_script(SCRIPT_HEAD + GREENLETS) == "1100"


@pytest.mark.parametrize("patched", ["before", "after"])
def test_eventlet_greenlets_in_a_patched_host(patched: str) -> None:
    patch = "import eventlet; eventlet.monkey_patch()\n"
    head = patch + SCRIPT_HEAD if patched == "before" else SCRIPT_HEAD + patch
    assert run_script(head + GREENLETS) == "1100"


FORK = """
import os
pipeline, recorder = PipelineStatus("local_files", "fork"), Recorder()
core_of(pipeline).attach(recorder)
stop = False
def busy():
    while not stop:
        pipeline.update(status="busy")
threads = [threading.Thread(target=busy) for _ in range(3)]
for t in threads: t.start()
for n in range(20):
    pid = os.fork()
    if pid == 0:
        sent = len(recorder.items)
        epoch = pipeline.get()["epoch"]
        pipeline.update(status="child")
        PipelineStatus("x", f"child-{n}")
        ok = pipeline.get()["status"] == "child" and len(recorder.items) == sent
        ok = ok and epoch != recorder.events[0].epoch
        os._exit(0 if ok else 1)
    deadline = time.monotonic() + 20
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done: break
        if time.monotonic() > deadline:
            os.kill(pid, 9); os.waitpid(pid, 0); status = 1; break
        time.sleep(0.005)
    assert status == 0, (n, status)
stop = True
for t in threads: t.join()
seqs = [e.seq for e in recorder.events]
assert seqs == list(range(len(seqs)))
print("parent goes on")
"""


def test_a_forked_child_goes_on_alone_and_its_parent_undisturbed() -> None:
    assert run_script(SCRIPT_HEAD + FORK) == "parent goes on"


def test_mutations_from_many_threads_rebuild_to_the_state_in_order_each_once(pipeline: PipelineStatus) -> None:
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


# -- against a model ---------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "Größe 文書", "caf\udce9"])
IDS = st.sampled_from([None, "1", "2"])


OUTCOMES = ("processed", "failed", "skipped", "deleted")


class PipelineMachine(RuleBasedStateMachine):
    """Any order of calls, against a list of files in flight and four counts."""

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("rag_pipeline.status").disabled = True
        self.pipeline = PipelineStatus("local_files", "model")
        self.recorder = Recorder()
        self.client = StateClient()
        self.followed = 0
        self.flight: list[tuple[str, str | None]] = []
        self.outcomes: dict[tuple[str, str], str] = {}

    @initialize()
    def watch(self) -> None:
        self.pipeline.update(status="running")
        core_of(self.pipeline).attach(self.recorder)

    def end(self, name: str, file_id: str | None, outcome: str) -> None:
        """Take the file that is meant out of flight, exactly this one, else one of its name; note its outcome."""
        if (name, file_id) in self.flight or (file_id and any(i == file_id for _, i in self.flight)):
            meant = [f for f in self.flight if (f[1] == file_id if file_id else f == (name, None))]
        elif file_id is None:
            meant = [f for f in self.flight if f[0] == name]
        else:
            meant = [f for f in self.flight if f == (name, None)]
        if meant:
            self.flight.remove(meant[0])
            name, file_id = meant[0][0], file_id or meant[0][1]
        self.outcomes[key_of(name, file_id)] = outcome

    @rule(name=NAMES, file_id=IDS, size=st.none() | st.integers(0, 99))
    def start(self, name: str, file_id: str | None, size: int | None) -> None:
        self.pipeline.add_processing_file(name, file_id, size=size)
        self.flight = [f for f in self.flight if (f[1] != file_id if file_id else f != (name, None))]
        self.flight.append((name, file_id))
        self.outcomes.pop(key_of(name, file_id), None)

    @rule(name=NAMES, file_id=IDS, progress=st.none() | st.floats(0, 1))
    def progress(self, name: str, file_id: str | None, progress: float | None) -> None:
        self.pipeline.file_progress(name, "stage", progress, file_id=file_id)

    @rule(name=NAMES, file_id=IDS, success=st.booleans(), result=st.none() | st.dictionaries(st.text(), st.integers()))
    def complete(self, name: str, file_id: str | None, success: bool, result: object) -> None:
        self.pipeline.complete_file(name, success, file_id=file_id, result=result)
        self.end(name, file_id, "processed" if success else "failed")

    @rule(name=NAMES, file_id=IDS)
    def skip(self, name: str, file_id: str | None) -> None:
        self.pipeline.skip_file(name, "reason", file_id=file_id)
        self.end(name, file_id, "skipped")

    @rule(name=NAMES, file_id=IDS)
    def delete(self, name: str, file_id: str | None) -> None:
        self.pipeline.delete_file(name, file_id=file_id)
        self.end(name, file_id, "deleted")

    @rule(status=st.text(min_size=1, max_size=9), queued=st.none() | st.integers(0, 9), mine=st.floats(allow_nan=False))
    def update(self, status: str, queued: int | None, mine: float) -> None:
        if math.isfinite(mine):
            self.pipeline.update(status=status, files_queued=queued, own={"mine": mine})

    @rule(call=st.sampled_from(BAD_CALLS[:24]))
    def refused(self, call: Callable[[PipelineStatus], object]) -> None:
        before = core_of(self.pipeline).snapshot()
        with pytest.raises((TypeError, ValueError)):
            call(self.pipeline)
        assert without_volatile(core_of(self.pipeline).snapshot().to_json(0)) == without_volatile(before.to_json(0))

    @rule(everything=st.booleans())
    def flush(self, everything: bool) -> None:
        core_of(self.pipeline).flush(everything=everything)

    @rule()
    def detach_and_attach(self) -> None:
        core_of(self.pipeline).detach(self.recorder)
        core_of(self.pipeline).attach(self.recorder)

    @invariant()
    def events_are_gapless_and_rebuild_the_state(self) -> None:
        for event in self.recorder.events[self.followed :]:
            self.client.follow(event.name, event.payload())
        self.followed = len(self.recorder.events)

    @invariant()
    def the_state_is_json_and_agrees_with_the_model(self) -> None:
        state: JsonDict = self.pipeline.get()
        json.dumps(state, allow_nan=False, ensure_ascii=False).encode()
        shown = [name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for name, _ in self.flight]
        assert [(f["name"], f["id"]) for f in state["files_processing"]] == [
            (name, file_id) for name, (_, file_id) in zip(shown, self.flight, strict=True)
        ]
        assert state["files_in_flight"] == len(self.flight)
        counts = Counter(self.outcomes.values())
        assert {k: state[f"total_{k}"] for k in OUTCOMES} == {k: counts[k] for k in OUTCOMES}
        for kept, outcome in (
            ("files_completed", "processed"),
            ("files_failed", "failed"),
            ("files_skipped", "skipped"),
        ):
            keys = [key_of(f["name"], f["id"]) for f in state[kept]]
            assert len(keys) == len(set(keys))
            known = {
                key_of(checks.readable(name), None) if kind == "name" else (kind, name): of
                for (kind, name), of in self.outcomes.items()
            }
            assert {known.get(key) for key in keys} <= {outcome}

    def teardown(self) -> None:
        core_of(self.pipeline).flush(everything=True)
        self.events_are_gapless_and_rebuild_the_state()
        if self.client.state is not None:
            assert without_volatile(self.client.state) == without_volatile(self.pipeline.get())
            newest = next(e for e in reversed(self.recorder.events) if e.name == events.STATUS)
            assert newest.seq == self.client.state["seq"], "who listens to the status alone is right too"
        self.pipeline.close()
        logging.getLogger("rag_pipeline.status").disabled = False


TestPipelineMachine = PipelineMachine.TestCase
TestPipelineMachine.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_own_fields_are_bounded_together() -> None:
    status = PipelineStatus("local_files")
    status.update(own={"first": "x" * 200_000})
    before = status.get()
    with pytest.raises(ValueError, match="all together"):
        status.update(own={"second": "y" * 100_000})
    assert status.get() == before


def test_progress_of_an_unknown_file_warns_once_for_a_name(caplog: pytest.LogCaptureFixture) -> None:
    status = PipelineStatus("local_files")
    for _ in range(3):
        status.file_progress("nobody.pdf", "chunking")
    assert [r.message for r in caplog.records if "nobody.pdf" in r.message] == [
        "progress of file 'nobody.pdf', which is not in flight, was ignored"
    ]


@pytest.mark.parametrize("name", ["pipelines", "timestamp", "total_failed", "seq"])
def test_names_that_answers_use_themselves_can_not_be_set(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        untyped(PipelineStatus("local_files")).update(**{name: "x"})


@pytest.mark.parametrize("kind", ["a\nb", " padded", "bell\a"])
def test_a_type_has_to_be_printable_since_the_id_is_made_of_it(kind: str) -> None:
    with pytest.raises(ValueError, match="pipeline_type"):
        PipelineStatus(kind)
    with pytest.raises(ValueError, match="pipeline_type"):
        PipelineStatus().update(pipeline_type=kind)


def test_success_is_a_bool_so_that_no_word_is_taken_for_it() -> None:
    status = PipelineStatus("local_files")
    with pytest.raises(TypeError, match="success"):
        status.complete_file("a.pdf", "failed")  # type: ignore[arg-type]
    assert status.get()["total_processed"] == 0
