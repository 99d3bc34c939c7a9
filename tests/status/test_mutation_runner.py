"""Exceptions raised into reporting threads leave state, ``seq`` and events right."""

from __future__ import annotations

import ctypes
import itertools
import logging
import random
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileBody
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder
from tests.support.state_client import StateClient, without_volatile
from tests.support.waiting import wait_until

ENDS = ("processed", "failed", "skipped", "deleted")


class Interrupt(Exception):  # noqa: N818 - such as Celery's soft time limit
    """Raised into a thread by another one."""


class Reporting:
    """A thread that reports files until it is stopped, whatever is raised into it."""

    def __init__(self, pipeline: PipelineStatus, name: str) -> None:
        self.pipeline = pipeline
        self.name = name
        self.caught = 0
        self.files = 0
        self.stop = False
        self._thread: threading.Thread | None = None

    def interrupt(self) -> None:
        """Raise an exception into the thread; start it again if it could not catch the last one."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run)
            self._thread.start()
        assert self._thread.ident is not None
        raise_into(self._thread.ident)

    def join(self) -> None:
        self.stop = True
        if self._thread is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()

    def _run(self) -> None:
        with suppress(Interrupt):
            while not self.stop:
                try:
                    self._work()
                except Interrupt:
                    self.caught += 1

    def _work(self) -> None:
        while not self.stop:
            self.files += 1
            name = f"{self.name}-{self.files % 10}"
            with self.pipeline.processing(name, name) as file:
                file.stage("reading", 0.1)
                self.pipeline.update(status=f"at {self.files}", own={self.name: self.files})
                file.stage("reading", 0.9)
                file.set_result({"n": self.files})
            self.pipeline.skip_file(f"{name} again", "unchanged")


def raise_into(ident: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Interrupt))


def check(pipeline: PipelineStatus, recorder: Recorder) -> None:
    """Check that the events, in order and each once, rebuild the state."""
    core = core_of(pipeline)
    core.flush(everything=True)
    client, seen, files = StateClient(), set[tuple[str, int]](), set[Key]()
    for event in recorder.events:
        if isinstance(event.body, FileBody):
            files.add(key_of(event.body.file.name, event.body.file.id))
        if event.numbered:
            assert event.epoch is not None
            assert (event.epoch, event.seq) not in seen, "nothing is emitted twice"
            seen.add((event.epoch, event.seq))
        client.follow(event.name, event.payload())
    assert client.state is not None
    assert without_volatile(client.state) == without_volatile(pipeline.get())
    state = pipeline.get()
    # Each file counts once: in flight if its block was interrupted, else under its newest outcome.
    assert state["files_in_flight"] == len(core._state.files)
    counted = state["files_in_flight"] + sum(state[f"total_{end}"] for end in ENDS)
    assert counted == len(files)


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Switch threads often, so that exceptions arrive quickly."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.usefixtures("bare_hooks", "eager_switches")
@pytest.mark.parametrize("threads", [1, 3])
def test_thousands_of_exceptions_raised_into_reporting_threads_do_no_harm(threads: int) -> None:
    pipeline, recorder = PipelineStatus("local_files", f"interrupted-{threads}"), Recorder()
    core_of(pipeline).attach(recorder)
    working = [Reporting(pipeline, f"t{n}") for n in range(threads)]
    random.seed(threads)
    deadline = time.monotonic() + 30
    while sum(one.caught for one in working) < 1500 and time.monotonic() < deadline:
        random.choice(working).interrupt()
        time.sleep(random.random() * 0.0005)
    for one in working:
        one.join()
    assert sum(one.caught for one in working) >= 300
    assert all(one.files > 10 for one in working)
    check(pipeline, recorder)
    seq = pipeline.get()["seq"]
    pipeline.update(status="alive")
    assert pipeline.get()["seq"] == seq + 1
    assert not core_of(pipeline)._deferred
    assert core_of(pipeline)._unfinished is None
    pipeline.close()


def is_inside_a_call(frame: types.FrameType | None) -> bool:
    """Return whether the main program, not a handler, was interrupted inside a status call."""
    inside = False
    while frame is not None:
        if frame.f_code.co_name == "handler":
            return False
        inside = inside or "rag_pipeline/status" in frame.f_code.co_filename
        frame = frame.f_back
    return inside


@pytest.mark.slow
@pytest.mark.usefixtures("bare_hooks")
def test_signal_handlers_that_report_and_raise_do_no_harm() -> None:
    pipeline, recorder = PipelineStatus("local_files", "signalled"), Recorder()
    core_of(pipeline).attach(recorder)
    raised, reported, numbers = 0, 0, itertools.count()

    def handler(_signal: int, frame: types.FrameType | None) -> None:
        nonlocal raised, reported
        pipeline.complete_file(f"signal {next(numbers)}")
        reported += 1
        if is_inside_a_call(frame):
            raised += 1
            raise Interrupt

    former = signal.signal(signal.SIGALRM, handler)
    logging.getLogger("rag_pipeline.status").disabled = True
    deadline = time.monotonic() + 30
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        while raised < 2000 and time.monotonic() < deadline:
            for call in (
                lambda: pipeline.add_processing_file("a"),
                lambda: pipeline.complete_file("a", result={"n": 1}),
                pipeline.get,
            ):
                with suppress(Interrupt):
                    call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        logging.getLogger("rag_pipeline.status").disabled = False
    assert raised >= 500
    check(pipeline, recorder)
    assert pipeline.get()["total_processed"] >= reported
    pipeline.close()


class Broken(Exception):  # noqa: N818
    """Raised where a test chooses."""


@pytest.mark.parametrize("where", ["apply", "outgoing", "delivery", "after"])
def test_a_decided_mutation_happens_wherever_it_is_interrupted(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, recorder = PipelineStatus("local_files", f"cut-{where}"), Recorder()
    core = core_of(pipeline)
    core.attach(recorder)
    pipeline.add_processing_file("a")
    left = 3

    def interrupting(function: Callable[..., object], *, first: bool) -> Callable[..., object]:
        def call(*args: object) -> object:
            nonlocal left
            if first and left:
                left -= 1
                raise Broken
            done = function(*args)
            if not first and left:
                left -= 1
                raise Broken
            return done

        return call

    if where == "apply":
        monkeypatch.setattr(core._state, "_apply_end", interrupting(core._state._apply_end, first=False))
    elif where == "outgoing":
        monkeypatch.setattr(core, "_outgoing", interrupting(core._outgoing, first=True))
    elif where == "delivery":
        monkeypatch.setattr(recorder, "publish_all", interrupting(recorder.publish_all, first=False))
    else:
        monkeypatch.setattr(core, "_repeat", lambda: None)  # as if it was interrupted too
        monkeypatch.setattr(recorder, "publish_all", interrupting(recorder.publish_all, first=False))
        left = 1
    with pytest.raises(Broken):
        pipeline.complete_file("a")
    if where == "after":
        assert core._unfinished is not None
        core.finish()
    assert [event.name for event in recorder.changes] == ["pipeline:file_processing_started", "pipeline:file_completed"]
    assert pipeline.get()["total_processed"] == 1
    check(pipeline, recorder)
    pipeline.close()


def test_an_exception_before_the_decision_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, recorder = PipelineStatus("local_files", "undecided"), Recorder()
    core = core_of(pipeline)
    core.attach(recorder)
    recorder.items.clear()

    def raising(*_: object) -> Mutation:
        raise Broken

    with monkeypatch.context() as patched:
        patched.setattr(core._state, "decide_start", raising)
        with pytest.raises(Broken):
            pipeline.add_processing_file("a")
    assert (recorder.items, pipeline.get()["seq"]) == ([], 0)
    pipeline.add_processing_file("a")
    assert pipeline.get()["seq"] == 1
    pipeline.close()


def test_any_thread_finishes_an_interrupted_mutation() -> None:
    core = StatusCore("local_files", "left")
    recorder = Recorder()
    core.attach(recorder)
    core._unfinished = core._state.decide_update({"status": "left"}, {}, "local_files", core_now())
    thread = threading.Thread(target=core.finish)
    thread.start()
    wait_until(lambda: bool(recorder.changes))
    thread.join(10)
    assert recorder.last["status"] == "left"


def core_now() -> Moment:
    return Moment(time.time(), time.monotonic())


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


def test_a_report_of_a_signal_handler_at_the_end_of_a_call_runs_at_once(
    pipeline: PipelineStatus, recorder: Recorder
) -> None:
    class LateReport(list[Any]):
        """Reports right after the list of deferred calls was found empty."""

        done = False

        def __bool__(self) -> bool:
            empty = len(self) == 0
            if empty and not self.done:
                self.done = True
                pipeline.update(status="late")
            return not empty

    core_of(pipeline)._deferred = LateReport()
    pipeline.update(status="early")
    assert [e.payload()["status"] for e in recorder.events] == ["early", "late"]
