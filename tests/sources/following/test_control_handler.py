"""What people ask of a running pipeline, on one that runs; and at random, against random changes."""

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
    """A pipeline of one worker with the files a to d, of which the first is being fetched."""
    with following(tmp_path, workers=1, start=False) as run:
        for key in "abcd":
            run.source.write(key, f"text of {key}")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        yield run
        run.source.hold.set()


# -- pause and resume --------------------------------------------------------------------------------------------------


def test_a_pause_lets_what_is_in_flight_end_and_begins_nothing_until_it_is_over(held: Following) -> None:
    held.ask(Action.PAUSE)
    held.wait_status("paused")
    state = held.state()
    assert (state["files_in_flight"], state["next_check_time"], state["is_checking"]) == (1, None, False)
    assert str(state.get("paused_since")).endswith("+00:00")
    held.source.hold.set()
    held.wait(lambda: held.state()["total_processed"] == 1 and held.state()["files_queued"] == 3)
    looks = held.source.looks
    held.ask(Action.PAUSE)
    held.source.write("e", "new")
    held.wait(lambda: held.pipeline._pool.busy == 0)
    assert (held.state()["status"], held.state()["total_processed"]) == ("paused", 1)
    held.ask(Action.RESUME)
    held.ask(Action.RESUME)
    held.wait_idle(processed=5)
    assert held.source.looks > looks
    assert held.state().get("paused_since") is None


def test_a_pause_ends_a_look_under_way_and_resuming_begins_it_anew(tmp_path: Path) -> None:
    with following(tmp_path, start=False, interval=3600.0) as run:
        run.source.write("a", "one")
        run.source.hold_look.clear()
        run.thread.start()
        assert run.source.holding_look.wait(20)
        run.ask(Action.PAUSE)
        run.wait_status("paused")
        assert (run.state()["is_checking"], run.state()["last_check_time"]) == (False, None)
        run.source.hold_look.set()
        assert refused(run, Action.CHECK) == "the pipeline is paused: resume it first"
        run.ask(Action.RESUME)
        run.wait_idle(processed=1)


def test_a_pause_that_is_over_before_anyone_saw_it_leaves_nobody_waiting(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.wait_status("idle")
        for number in range(20):
            run.source.write(f"{number}", f"text {number}")
            run.ask(Action.CHECK)
            run.ask(Action.PAUSE)
            run.ask(Action.RESUME)
        run.ask(Action.CHECK)
        run.wait_idle(processed=20)


def test_a_look_that_a_short_pause_has_ended_is_begun_anew(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.wait_status("idle")
        look = run.source.scan

        def paused_meanwhile(check: Callable[[], None]) -> Snapshot:
            run.source.scan = look  # type: ignore[method-assign]
            run.ask(Action.PAUSE)
            try:
                return look(check)
            finally:
                run.ask(Action.RESUME)

        run.source.scan = paused_meanwhile  # type: ignore[method-assign]
        run.source.write("a", "one")
        run.ask(Action.CHECK)
        run.wait_idle(processed=1)


def test_a_paused_pipeline_can_be_stopped_and_runs_after_a_restart(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("a", "one")
        run.ask(Action.PAUSE)  # before it runs at all
        run.thread.start()
        run.wait_status("paused")
        run.end()
        assert (run.state()["status"], run.state().get("paused_since"), run.store.kept) == ("stopped", None, {})
    with following(tmp_path, run.store, start=False) as again:
        again.source.write("a", "one")
        again.thread.start()
        again.wait_idle(processed=1)


def test_a_pause_while_the_source_is_away_shows_the_pause_and_then_the_trouble_again(tmp_path: Path) -> None:
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


def test_a_check_is_made_at_once(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0) as run:
        run.wait_status("idle")
        run.source.write("a", "one")
        run.ask(Action.CHECK)
        run.wait_idle(processed=1)


# -- retry -------------------------------------------------------------------------------------------------------------


def test_a_failed_file_is_tried_again_at_once_as_another_attempt_with_all_its_tries(tmp_path: Path) -> None:
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


def test_a_file_that_failed_for_good_can_be_tried_again_before_all_that_wait(tmp_path: Path) -> None:
    with following(tmp_path, workers=1, interval=3600.0) as run:
        run.source.write("z", "corrupt")
        run.ask(Action.CHECK)
        run.wait(lambda: run.state()["total_failed"] == 1)
        run.source.hold.clear()
        for key in "abc":
            run.source.write(key, key)
        run.ask(Action.CHECK)
        run.wait_held()
        run.source.texts["z"] = "mended"  # a better source, say: the version is the same
        run.ask(Action.RETRY, "z")
        run.ask(Action.RETRY, "z")
        run.wait(lambda: run.rows()["z"].retry_at == 0.0)
        run.wait_look()  # it keeps its place
        run.source.hold.set()
        run.wait_idle(processed=4)
        assert run.source.fetched == ["z", "a", "z", "b", "c"]


def test_something_that_could_not_be_read_is_looked_at_again(tmp_path: Path) -> None:
    with following(tmp_path, interval=3600.0, start=False) as run:
        run.source.unreadable["a"] = Unreadable("a", "a.txt", "can't be looked at", is_error=True)
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


def test_a_retry_asked_for_as_the_failure_is_told_is_kept_until_the_job_is_over(
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
        run.wait_look()  # the request was taken
        release.set()
        run.wait_idle(processed=1)


def test_a_retry_while_the_source_is_away_is_kept_for_when_it_is_back(tmp_path: Path) -> None:
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


def test_a_file_that_failed_as_the_last_process_ended_can_be_asked_for_and_its_pause_is_over(tmp_path: Path) -> None:
    own = {"paused_since": "2026-01-01T00:00:00.000+00:00"}
    in_flight = (FileRecord("b.txt", "b"), FileRecord("gone.txt", "gone"))
    saved = SavedState("x", "google_drive", "before", 9, {}, own, FileTotals(), in_flight=in_flight)
    with following(tmp_path, workers=1, start=False) as run:
        core_of(run.status).attach(Recorder(), lambda _: saved)
        for key in "ab":
            run.source.write(key, key)
        run.source.hold_look.clear()
        run.thread.start()
        assert run.source.holding_look.wait(20)
        assert run.state().get("paused_since") is None
        run.ask(Action.RETRY, "b")
        run.ask(Action.RETRY, "gone")
        run.wait(lambda: not run.control._waiting)
        run.source.hold_look.set()
        run.wait_idle(processed=2)
        assert [(file["id"], file["attempt"]) for file in run.files("completed")] == [("b", 2), ("a", 1)]
        assert refused(run, Action.RETRY, "b") == "b.txt has not failed"
        assert refused(run, Action.RETRY, "gone") == "no file with the id 'gone' is known"


def test_what_cannot_be_tried_again_is_told_in_one_line(tmp_path: Path) -> None:
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
        assert refused(run, Action.CANCEL, "x") == "no file with the id 'x' is known"
        assert refused(run, Action.CANCEL, "a") == "report.txt is neither in flight nor queued"


# -- cancel ------------------------------------------------------------------------------------------------------------


def test_a_cancelled_file_is_left_at_once_and_done_after_all_others_as_another_attempt(held: Following) -> None:
    held.ask(Action.CANCEL, "a")
    held.wait(lambda: held.in_flight().get("a") == ("waiting", 1) and "b" in held.in_flight())
    # Each file is counted once: "a" is in flight, "c" and "d" are queued.
    held.wait(lambda: (held.state()["files_in_flight"], held.state()["files_queued"]) == (2, 2))
    held.source.hold.set()
    held.wait_idle(processed=4)
    done = [(file["id"], file["attempt"]) for file in held.files("completed")]
    assert done == [("b", 1), ("c", 1), ("d", 1), ("a", 2)]
    assert (held.state()["total_failed"], held.state()["files_in_flight"]) == (0, 0)


def test_a_file_that_was_put_back_and_settles_is_in_flight_and_not_queued(held: Following) -> None:
    held.pipeline._stability.seconds = 3600.0
    held.source.files["a"] = held.source.files["a"]._replace(version="newer", modified_at=time.time())
    held.source.hold.set()
    held.wait(lambda: held.state()["total_processed"] == 3 and held.in_flight() == {"a": ("waiting", 1)})
    held.wait_look()
    held.wait(lambda: held.state()["files_queued"] == 0)
    assert (held.pipeline._waiting, held.state()["status"]) == (1, "processing")


def test_a_queued_file_that_is_cancelled_goes_to_the_end_and_stays_there_over_further_looks(held: Following) -> None:
    held.ask(Action.CANCEL, "b")
    held.source.write("e", "text of e")
    held.wait(lambda: held.state()["files_queued"] == 4)
    held.wait_look()
    held.source.hold.set()
    held.wait_idle(processed=5)
    assert [file["id"] for file in held.files("completed")] == ["a", "c", "d", "e", "b"]


def test_a_cancelled_file_that_is_deleted_then_is_in_flight_no_more(held: Following) -> None:
    held.ask(Action.CANCEL, "a")
    held.wait(lambda: held.in_flight().get("a") == ("waiting", 1))
    held.source.remove("a")
    held.wait_look()
    held.source.hold.set()
    held.wait_idle(processed=3)
    assert (held.ended("deleted"), held.state()["files_in_flight"]) == (["a"], 0)


def test_with_a_pause_a_cancelled_file_stays_out_of_work(held: Following) -> None:
    held.ask(Action.PAUSE)
    held.ask(Action.CANCEL, "a")
    held.wait(lambda: held.in_flight() == {"a": ("waiting", 1)} and held.pipeline._pool.busy == 0)
    held.source.hold.set()
    held.ask(Action.RESUME)
    held.wait_idle(processed=4)
    assert [file["id"] for file in held.files("completed")] == ["b", "c", "d", "a"]


@pytest.mark.parametrize("stage", ["extracting", "embedding"])
def test_a_file_can_be_cancelled_in_every_stage(tmp_path: Path, stage: str) -> None:
    with following(tmp_path, workers=1, start=False) as run:
        run.source.write("a", "\n".join(f"line {number}" for number in range(100)))
        run.source.write("b", "two")

        def cancel_once() -> None:
            run.test.embedder.before = lambda: None
            run.ask(Action.CANCEL, "a")
            run.wait(lambda: run.pipeline._pool.is_cancelled("a"))

        if stage == "extracting":
            run.test.extractor.hold.clear()
        else:
            run.test.embedder.before = cancel_once
        run.thread.start()
        if stage == "extracting":
            assert run.test.extractor.holding.wait(20)
            run.ask(Action.CANCEL, "a")
            run.wait(lambda: run.in_flight().get("a") == ("waiting", 1))
            run.test.extractor.hold.set()
        run.wait_idle(processed=2)
        assert [(file["id"], file["attempt"]) for file in run.files("completed")] == [("b", 1), ("a", 2)]
        assert run.store.writes == {"a": 1, "b": 1}


def test_the_only_file_can_be_cancelled_also_in_a_single_pass(tmp_path: Path) -> None:
    with following(tmp_path, single=True, start=False) as run:
        run.source.write("a", "one")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        run.ask(Action.CANCEL, "a")
        run.wait(lambda: run.in_flight().get("a", ("", 0))[1] == 2)
        run.source.hold.set()
        run.thread.join(20)
        assert (run.error, run.store.texts()) == (None, {"a": ["one"]})


def test_a_cancelled_file_survives_a_stop(held: Following, tmp_path: Path) -> None:
    held.ask(Action.CANCEL, "a")
    held.wait(lambda: held.in_flight().get("a") == ("waiting", 1))
    held.end()
    with following(tmp_path, held.store, start=False) as again:
        for key in "abcd":
            again.source.write(key, f"text of {key}")
        again.thread.start()
        again.wait_idle(processed=4)


# -- nobody waits for the pipeline -------------------------------------------------------------------------------------


def test_who_asks_does_not_wait_for_a_pipeline_that_is_busy_with_its_plan(held: Following) -> None:
    asked = threading.Event()

    def ask() -> None:
        held.ask(Action.PAUSE)
        held.ask(Action.CANCEL, "a")
        held.ask(Action.CANCEL, "b")
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
    st.tuples(st.sampled_from([Action.RETRY, Action.CANCEL]), KEYS),
    st.tuples(st.sampled_from([Action.PAUSE, Action.RESUME, Action.CHECK]), st.none()),
    st.tuples(st.sampled_from(["hold", "go", "down", "up", "busy", "look"]), st.none()),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_whatever_is_asked_and_whatever_happens_meanwhile_the_store_ends_up_right(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, str | None]]
) -> None:
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "MAX_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(circuit_breakers, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(circuit_breakers, "MAX_WAIT_SECONDS", 0.1)
    with tempfile.TemporaryDirectory() as folder, following(Path(folder), interval=0.05) as run:
        for step, key in steps:
            _do(run, step, key)
        # Trouble is over, and nobody asks for anything any more.
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
            pass  # refused is an answer too
        return
    known = source.files.get(key or "")
    events: dict[str, Callable[[], object]] = {
        "hold": source.hold.clear,
        "go": source.hold.set,
        "down": lambda: setattr(source, "down", SourceUnavailableError("away", 0.05)),
        "up": lambda: setattr(source, "down", None),
        "busy": lambda: source.holding.wait(0.05),
        "look": lambda: source.hold_look.wait(0.05),
        "write": lambda: source.write(key or "", f"text {len(source.texts)} {source._versions}"),
        "corrupt": lambda: source.write(key or "", "corrupt"),
        "remove": lambda: source.remove(key or ""),
        "rename": lambda: source.rename(key or "", f"{source._versions}-{key}.txt") if known else None,
        "breaks": lambda: source.errors.update({key or "": DamagedError("came damaged")}),
        "mended": lambda: source.errors.pop(key or "", None),
    }
    events[step]()
