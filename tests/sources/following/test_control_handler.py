"""Control requests to a running pipeline: single ones, and random sequences with random changes."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline.sources.following import circuit_breakers
from rag_pipeline.sources.following import job_runner as jobs
from rag_pipeline.sources.following.job_runner import JobRunner
from rag_pipeline.sources.following.jobs import Job
from rag_pipeline.sources.source import SkippedError, Snapshot, SourceUnavailableError, Unreadable
from rag_pipeline.status.control import Action, ControlError
from rag_pipeline.status.model import FileRecord, FileTotals
from rag_pipeline.status.pipeline import core_of
from rag_pipeline.status.saved import SavedState
from tests.sources.following.memory_source import Following, following
from tests.sources.following.test_pipeline import DamagedError
from tests.support.recorder import Recorder


def refused(run: Following, action: Action, file_id: str | None = None) -> str:
    with pytest.raises(ControlError) as caught:
        run.ask(action, file_id)
    return str(caught.value)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Following]:
    """A pipeline of one worker with the files a to d, of which the first is being downloaded."""
    with following(tmp_path, workers=1, start=False) as run:
        for key in "abcd":
            run.source.write(key, f"text of {key}")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        yield run
        run.source.hold.set()


# -- pause and resume --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pause_lets_files_in_flight_finish_and_starts_nothing_new(held: Following) -> None:
    held.ask(Action.PAUSE)
    held.wait_status("paused")
    state = held.state()
    assert (state["files_in_flight"], state["next_check_time"], state["is_checking"]) == (1, None, False)
    assert str(state.get("paused_since")).endswith("+00:00")
    held.source.hold.set()
    held.wait(lambda: held.state()["total_processed"] == 1 and held.state()["files_queued"] == 3)
    scans = held.source.scans
    held.ask(Action.PAUSE)
    held.source.write("e", "new")
    held.wait(lambda: held.pipeline._pool.busy == 0)
    assert (held.state()["status"], held.state()["total_processed"]) == ("paused", 1)
    held.ask(Action.RESUME)
    held.ask(Action.RESUME)
    held.wait_idle(processed=5)
    assert held.source.scans > scans
    assert held.state().get("paused_since") is None


def test_a_pause_aborts_a_scan_and_resuming_repeats_it(tmp_path: Path) -> None:
    with following(tmp_path, start=False, interval=3600.0) as run:
        run.source.write("a", "one")
        run.source.hold_scan.clear()
        run.thread.start()
        assert run.source.scan_held.wait(20)
        run.ask(Action.PAUSE)
        run.wait_status("paused")
        assert (run.state()["is_checking"], run.state()["last_check_time"]) == (False, None)
        run.source.hold_scan.set()
        assert refused(run, Action.CHECK) == "the pipeline is paused: resume it first"
        run.ask(Action.RESUME)
        run.wait_idle(processed=1)


def test_a_very_short_pause_leaves_no_worker_waiting(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.wait_status("idle")
        for number in range(20):
            run.source.write(f"{number}", f"text {number}")
            run.ask(Action.CHECK)
            run.ask(Action.PAUSE)
            run.ask(Action.RESUME)
        run.ask(Action.CHECK)
        run.wait_idle(processed=20)


def test_a_scan_aborted_by_a_short_pause_is_repeated(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.wait_status("idle")
        scan = run.source.scan

        def paused_meanwhile(check: Callable[[], None]) -> Snapshot:
            run.source.scan = scan  # type: ignore[method-assign]
            run.ask(Action.PAUSE)
            try:
                return scan(check)
            finally:
                run.ask(Action.RESUME)

        run.source.scan = paused_meanwhile  # type: ignore[method-assign]
        run.source.write("a", "one")
        run.ask(Action.CHECK)
        run.wait_idle(processed=1)


@pytest.mark.slow
def test_a_paused_pipeline_can_be_stopped_and_runs_after_a_restart(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("a", "one")
        run.ask(Action.PAUSE)  # before the pipeline runs
        run.thread.start()
        run.wait_status("paused")
        run.end()
        assert (run.state()["status"], run.state().get("paused_since"), run.store.kept) == ("stopped", None, {})
    with following(tmp_path, run.store, start=False) as again:
        again.source.write("a", "one")
        again.thread.start()
        again.wait_idle(processed=1)


def test_a_pause_while_the_source_is_unavailable_shows_the_pause_then_the_error_again(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.down = SourceUnavailableError("Drive does not answer", 3600.0)
        run.wait_status("error")
        run.ask(Action.PAUSE)
        run.wait_status("paused")
        run.ask(Action.RESUME)
        run.wait_status("error")
        assert run.state().get("message") == "Drive does not answer"
        run.source.down = None
        run.ask(Action.CHECK)  # an hour early
        run.wait_status("idle")


def test_a_single_pass_cannot_be_paused(tmp_path: Path) -> None:
    with following(tmp_path, single=True, start=False) as run:
        assert "a single pass can't be paused" in refused(run, Action.PAUSE)
        run.source.write("a", "one")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        assert "a single pass can't be paused" in refused(run, Action.PAUSE)
        run.source.hold.set()
        run.thread.join(20)
        assert (run.error, run.store.texts()) == (None, {"a": ["one"]})


# -- check -------------------------------------------------------------------------------------------------------------


def test_a_requested_scan_starts_at_once(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.wait_status("idle")
        run.source.write("a", "one")
        run.ask(Action.CHECK)
        run.wait_idle(processed=1)


# -- retry -------------------------------------------------------------------------------------------------------------


def test_a_retry_starts_at_once_as_another_attempt_and_resets_the_waits(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.source.errors["a"] = DamagedError("a.txt came damaged")
        run.source.write("a", "one")
        run.ask(Action.CHECK)
        for failed in (1, 2, 3):
            run.wait(lambda: run.attempts().total_failed == failed and run.state()["status"] == "idle")  # noqa: B023
            assert (run.rows()["a"].attempts, run.state()["files_failed"][-1]["attempt"]) == (1, failed)
            if failed == 3:
                run.source.errors.clear()
            run.ask(Action.RETRY, "a")
        run.wait_idle(processed=1)
        assert run.state()["files_completed"][-1]["attempt"] == 4


def test_a_file_that_failed_for_good_can_be_retried_before_the_queue(tmp_path: Path) -> None:
    with following(tmp_path, workers=1, interval=3600.0) as run:
        run.source.write("z", "corrupt")
        run.ask(Action.CHECK)
        run.wait(lambda: run.state()["total_failed"] == 1)
        run.source.hold.clear()
        for key in "abc":
            run.source.write(key, key)
        run.ask(Action.CHECK)
        run.wait_held()
        run.source.texts["z"] = "mended"  # the version stays the same
        run.ask(Action.RETRY, "z")
        run.ask(Action.RETRY, "z")
        run.wait(lambda: run.rows()["z"].retry_at == 0.0)
        run.wait_scan()  # the file keeps its place
        run.source.hold.set()
        run.wait_idle(processed=4)
        assert run.source.fetched == ["z", "a", "z", "b", "c"]


def test_an_unreadable_entry_can_be_retried(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0, start=False) as run:
        run.source.unreadable["a"] = Unreadable("a", "a.txt", "can't be accessed", is_error=True)
        run.source.unreadable["b"] = Unreadable("b", "b", "a map has no text", is_error=False)
        run.thread.start()
        run.wait(lambda: (s := run.state())["total_failed"] == 1 and s["total_skipped"] == 1)
        assert refused(run, Action.RETRY, "b") == "b has not failed"
        run.ask(Action.RETRY, "a")
        run.wait(lambda: run.attempts().total_failed == 2)
        del run.source.unreadable["a"]
        run.source.write("a", "one")
        run.ask(Action.RETRY, "a")
        run.wait_idle(processed=1)


def test_a_retry_requested_when_the_failure_is_reported_waits_for_the_end_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, release = threading.Event(), threading.Event()
    do = JobRunner.run

    def do_slowly(jobs: JobRunner, key: str, job: Job) -> bool:
        again = do(jobs, key, job)
        ended.set()
        assert release.wait(20)
        return again

    monkeypatch.setattr(JobRunner, "run", do_slowly)
    with following(tmp_path, interval=3600.0) as run:
        run.source.write("a", "corrupt")
        run.ask(Action.CHECK)
        assert ended.wait(20)
        assert run.state()["total_failed"] == 1
        run.source.texts["a"] = "mended"
        run.ask(Action.RETRY, "a")
        run.wait_scan()  # after it the request has been taken
        release.set()
        run.wait_idle(processed=1)


@pytest.mark.slow
def test_a_retry_while_the_source_is_unavailable_waits_until_it_is_back(tmp_path: Path) -> None:
    with following(tmp_path, interval=0.3) as run:
        run.source.write("a", "corrupt")
        run.wait(lambda: run.state()["total_failed"] == 1)
        run.source.down = SourceUnavailableError("Drive does not answer")
        run.wait_status("error")
        run.source.texts["a"] = "mended"
        run.ask(Action.RETRY, "a")
        run.wait(lambda: run.rows()["a"].retry_at == 0.0)
        run.source.down = None
        run.wait_idle(processed=1)


def test_a_file_interrupted_by_the_last_process_can_be_retried(tmp_path: Path) -> None:
    own = {"paused_since": "2026-01-01T00:00:00.000+00:00"}
    in_flight = (FileRecord("b.txt", "b"), FileRecord("gone.txt", "gone"))
    saved = SavedState("x", "google_drive", "before", 9, {}, own, FileTotals(), in_flight=in_flight)
    with following(tmp_path, workers=1, start=False) as run:
        core_of(run.status).attach(Recorder(), lambda _: saved)
        for key in "ab":
            run.source.write(key, key)
        run.source.hold_scan.clear()
        run.thread.start()
        assert run.source.scan_held.wait(20)
        assert run.state().get("paused_since") is None
        run.ask(Action.RETRY, "b")
        run.ask(Action.RETRY, "gone")
        run.wait(lambda: not run.control._waiting)
        run.source.hold_scan.set()
        run.wait_idle(processed=2)
        assert [(file["id"], file["attempt"]) for file in run.files("completed")] == [("b", 2), ("a", 1)]
        assert refused(run, Action.RETRY, "b") == "b.txt has not failed"
        assert refused(run, Action.RETRY, "gone") == "no file with the id 'gone' is known"


def test_a_refused_retry_gives_a_one_line_reason(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        assert refused(run, Action.RETRY, "a") == "the pipeline is still starting"
        run.source.write("a", "one", "report.txt")
        run.source.write("b", "unsupported")
        run.source.write("c", "two")
        run.source.errors["c"] = SkippedError("c.txt may not be downloaded")
        run.thread.start()
        run.wait_idle(processed=1)
        assert refused(run, Action.RETRY, "a") == "report.txt has not failed"
        assert refused(run, Action.RETRY, "c") == "c.txt has not failed"
        assert refused(run, Action.RETRY, "x") == "no file with the id 'x' is known"
        assert refused(run, Action.POSTPONE, "x") == "no file with the id 'x' is known"
        assert refused(run, Action.POSTPONE, "a") == "report.txt is neither in flight nor queued"


# -- cancel ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cancelled_file_stops_at_once_and_comes_last_as_another_attempt(held: Following) -> None:
    held.ask(Action.POSTPONE, "a")
    held.wait(lambda: held.in_flight().get("a") == ("waiting", 1) and "b" in held.in_flight())
    # Each file is counted once: "a" is in flight, "c" and "d" are queued.
    held.wait(lambda: (held.state()["files_in_flight"], held.state()["files_queued"]) == (2, 2))
    held.source.hold.set()
    held.wait_idle(processed=4)
    done = [(file["id"], file["attempt"]) for file in held.files("completed")]
    assert done == [("b", 1), ("c", 1), ("d", 1), ("a", 2)]
    assert (held.state()["total_failed"], held.state()["files_in_flight"]) == (0, 0)


def test_a_put_back_file_that_waits_for_stability_is_in_flight_and_not_queued(held: Following) -> None:
    held.pipeline._stability.seconds = 3600.0
    held.source.files["a"] = held.source.files["a"]._replace(version="newer", modified_at=time.time())
    held.source.hold.set()
    held.wait(lambda: held.state()["total_processed"] == 3 and held.in_flight() == {"a": ("waiting", 1)})
    held.wait_scan()
    held.wait(lambda: held.state()["files_queued"] == 0)
    assert (held.pipeline._waiting, held.state()["status"]) == (1, "processing")


def test_a_cancelled_queued_file_stays_last_over_further_scans(held: Following) -> None:
    held.ask(Action.POSTPONE, "b")
    held.source.write("e", "text of e")
    held.wait(lambda: held.state()["files_queued"] == 4)
    held.wait_scan()
    held.source.hold.set()
    held.wait_idle(processed=5)
    assert [file["id"] for file in held.files("completed")] == ["a", "c", "d", "e", "b"]


def test_a_cancelled_file_that_is_then_deleted_leaves_the_flight(held: Following) -> None:
    held.ask(Action.POSTPONE, "a")
    held.wait(lambda: held.in_flight().get("a") == ("waiting", 1))
    held.source.remove("a")
    held.wait_scan()
    held.source.hold.set()
    held.wait_idle(processed=3)
    assert (held.ended("deleted"), held.state()["files_in_flight"]) == (["a"], 0)


def test_a_cancelled_file_does_not_start_during_a_pause(held: Following) -> None:
    held.ask(Action.PAUSE)
    held.ask(Action.POSTPONE, "a")
    held.wait(lambda: held.in_flight() == {"a": ("waiting", 1)} and held.pipeline._pool.busy == 0)
    held.source.hold.set()
    held.ask(Action.RESUME)
    held.wait_idle(processed=4)
    assert [file["id"] for file in held.files("completed")] == ["b", "c", "d", "a"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["extracting", "embedding"])
def test_a_file_can_be_cancelled_in_every_stage(tmp_path: Path, stage: str) -> None:
    with following(tmp_path, workers=1, start=False) as run:
        run.source.write("a", "\n".join(f"line {number}" for number in range(100)))
        run.source.write("b", "two")

        def cancel_once() -> None:
            run.test.embedder.before = lambda: None
            run.ask(Action.POSTPONE, "a")
            run.wait(lambda: run.pipeline._pool.is_cancelled("a"))

        if stage == "extracting":
            run.test.extractor.hold.clear()
        else:
            run.test.embedder.before = cancel_once
        run.thread.start()
        if stage == "extracting":
            assert run.test.extractor.holding.wait(20)
            run.ask(Action.POSTPONE, "a")
            run.wait(lambda: run.in_flight().get("a") == ("waiting", 1))
            run.test.extractor.hold.set()
        run.wait_idle(processed=2)
        assert [(file["id"], file["attempt"]) for file in run.files("completed")] == [("b", 1), ("a", 2)]
        assert run.store.writes == {"a": 1, "b": 1}


def test_the_only_file_of_a_single_pass_can_be_cancelled(tmp_path: Path) -> None:
    with following(tmp_path, single=True, start=False) as run:
        run.source.write("a", "one")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        run.ask(Action.POSTPONE, "a")
        run.wait(lambda: run.in_flight().get("a", ("", 0))[1] == 2)
        run.source.hold.set()
        run.thread.join(20)
        assert (run.error, run.store.texts()) == (None, {"a": ["one"]})


def test_a_cancelled_file_survives_a_stop(held: Following, tmp_path: Path) -> None:
    held.ask(Action.POSTPONE, "a")
    held.wait(lambda: held.in_flight().get("a") == ("waiting", 1))
    held.end()
    with following(tmp_path, held.store, start=False) as again:
        for key in "abcd":
            again.source.write(key, f"text of {key}")
        again.thread.start()
        again.wait_idle(processed=4)


# -- requests do not wait for the pipeline -----------------------------------------------------------------------------


def test_requests_do_not_wait_for_a_pipeline_that_is_planning(held: Following) -> None:
    asked = threading.Event()

    def ask() -> None:
        held.ask(Action.PAUSE)
        held.ask(Action.POSTPONE, "a")
        held.ask(Action.POSTPONE, "b")
        asked.set()

    with held.pipeline._pool.lock:
        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(60)
    thread.join(60)
    held.ask(Action.RESUME)
    held.source.hold.set()
    held.wait_idle(processed=4)


# -- at random ---------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from("abcdef")
STEPS = st.one_of(
    st.tuples(st.just("write"), KEYS),
    st.tuples(st.just("remove"), KEYS),
    st.tuples(st.just("rename"), KEYS),
    st.tuples(st.just("corrupt"), KEYS),
    st.tuples(st.just("breaks"), KEYS),
    st.tuples(st.just("mended"), KEYS),
    st.tuples(st.sampled_from([Action.RETRY, Action.POSTPONE]), KEYS),
    st.tuples(st.sampled_from([Action.PAUSE, Action.RESUME, Action.CHECK]), st.none()),
    st.tuples(st.sampled_from(["hold", "go", "down", "up", "busy", "scan"]), st.none()),
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_any_sequence_of_requests_and_events_leaves_the_store_correct(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, str | None]]
) -> None:
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "MAX_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(circuit_breakers, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(circuit_breakers, "MAX_WAIT_SECONDS", 0.1)
    with tempfile.TemporaryDirectory() as folder, following(Path(folder), interval=0.05) as run:
        for step, key in steps:
            _do(run, step, key)
        # No more errors and no more requests.
        _do(run, "up", None)
        _do(run, "go", None)
        run.source.errors.clear()
        run.ask(Action.RESUME)
        right = {key: [run.source.texts[key]] for key in run.source.files if run.source.texts[key] != "corrupt"}
        names = {key: file.name for key, file in run.source.files.items() if key in right}
        run.wait(lambda: run.state()["status"] == "idle" and run.store.texts() == right and _settled(run))
        assert {key: file.name for key, file in run.store.files("scope").items()} == names
        assert run.rows().keys() == run.source.files.keys()
        assert (run.state()["files_in_flight"], run.state()["files_queued"]) == (0, 0)


def _settled(run: Following) -> bool:
    rows = run.rows()
    names = {key: file.name for key, file in run.store.files("scope").items()}
    return rows.keys() == run.source.files.keys() and all(
        rows[key].version == file.version and rows[key].name == file.name and names.get(key, file.name) == file.name
        for key, file in run.source.files.items()
    )


def _do(run: Following, step: str, key: str | None) -> None:
    source = run.source
    if isinstance(step, Action):
        try:
            run.ask(step, key)
        except ControlError:
            pass  # a refusal is a valid answer
        return
    known = source.files.get(key or "")
    events: dict[str, Callable[[], object]] = {
        "hold": source.hold.clear,
        "go": source.hold.set,
        "down": lambda: setattr(source, "down", SourceUnavailableError("away", 0.05)),
        "up": lambda: setattr(source, "down", None),
        "busy": lambda: source.holding.wait(0.05),
        "scan": lambda: source.hold_scan.wait(0.05),
        "write": lambda: source.write(key or "", f"text {len(source.texts)} {source._versions}"),
        "corrupt": lambda: source.write(key or "", "corrupt"),
        "remove": lambda: source.remove(key or ""),
        "rename": lambda: source.rename(key or "", f"{source._versions}-{key}.txt") if known else None,
        "breaks": lambda: source.errors.update({key or "": DamagedError("came damaged")}),
        "mended": lambda: source.errors.pop(key or "", None),
    }
    events[step]()
