"""PipelineStatus, called from threads, greenlets and forked children."""

from __future__ import annotations

import json
import logging
import math
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rag_pipeline.contract import events
from rag_pipeline.status import checks
from rag_pipeline.status.files import key_of
from rag_pipeline.status.pipeline import DefaultPipelineStatus, PipelineStatus, core_of
from tests.support.recorder import Recorder, untyped
from tests.support.state_client import JsonDict, StateClient, without_volatile

# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_new_pipeline_has_null_for_unknown_values(pipeline: PipelineStatus) -> None:
    state = pipeline.get()
    assert state["status"] == "initializing"
    assert (state["seq"], state["pipeline_id"], state["pipeline_type"]) == (0, "under-test", "local_files")
    assert state["started_at"].endswith("+00:00")
    for key in ("files_per_minute", "eta_seconds", "files_queued", "last_activity", "seconds_until_next_check"):
        assert state[key] is None
    assert not core_of(pipeline).reported


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
def test_a_bad_type_or_id_is_an_error(args: tuple[Any, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        PipelineStatus(*args)


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


# -- threads, greenlets, forks -----------------------------------------------------------------------------------------


SCRIPT_HEAD = """
import sys, threading, time
from rag_pipeline.status.pipeline import core_of, PipelineStatus
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


@pytest.mark.slow
def test_eventlet_greenlets_in_an_unpatched_host() -> None:
    assert run_script(SCRIPT_HEAD + GREENLETS) == "1100"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_forked_child_reports_without_disturbing_its_parent() -> None:
    assert run_script(SCRIPT_HEAD + FORK) == "parent goes on"


# -- against a model ---------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "Größe 文書", "caf\udce9"])
IDS = st.sampled_from([None, "1", "2"])


OUTCOMES = ("processed", "failed", "skipped", "deleted")


class PipelineMachine(RuleBasedStateMachine):
    """Makes calls in any order, and compares with a list of files in flight and their outcomes."""

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
        """Take the matching file out of flight, exactly this one or one of its name; note its outcome."""
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


TestPipelineMachine = pytest.mark.slow(PipelineMachine.TestCase)
TestPipelineMachine.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("kind", ["a\nb", " padded", "bell\a"])
def test_a_type_must_be_printable(kind: str) -> None:
    with pytest.raises(ValueError, match="pipeline_type"):
        PipelineStatus(kind)
    with pytest.raises(ValueError, match="pipeline_type"):
        PipelineStatus().update(pipeline_type=kind)
