"""The pipeline with any source; local_files/test_pipeline has the tests of a local folder."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ServiceError
from rag_pipeline.sources.following import job_runner, pipeline
from rag_pipeline.sources.following.plan import WorkPlan, make_plan
from rag_pipeline.sources.ledger import Outcome
from rag_pipeline.sources.source import SkippedError, SourceUnavailableError, Unreadable
from rag_pipeline.status.control import Action, ControlError
from tests.sources.following.memory_source import following
from tests.sources.memory_stages import MemoryStore

pytestmark = pytest.mark.slow


class DamagedError(ServiceError):
    retryable = True


def test_a_file_is_fetched_first_and_shown_with_its_link_and_type(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("id1", "one\ntwo", "a.txt", link="https://drive/a", mime_type="text/plain")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        [file] = run.state()["files_processing"]
        assert (file["stage"], file["link"], file["mime_type"]) == ("downloading", "https://drive/a", "text/plain")
        run.source.hold.set()
        run.wait_idle(processed=1)
        assert run.store.texts() == {"id1": ["one", "two"]}
        [stored] = run.store.files("scope").values()
        assert (stored.name, stored.uri, stored.size) == ("a.txt", "https://example.org/id1", 7)
        assert len(run.files("processing_started")) == 1
        assert run.state()["folder"] == "Papers"


def test_two_files_with_one_name_are_told_apart(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("id1", "one", "a.txt")
        run.source.write("id2", "two", "a.txt")
        run.wait_idle(processed=2)
        run.source.remove("id2")
        run.wait(lambda: run.state()["total_deleted"] == 1)
        assert run.store.texts() == {"id1": ["one"]}
        assert [(file["id"], file["name"]) for file in run.files("deleted")] == [("id2", "a.txt")]


def test_unchanged_files_are_not_fetched_again_after_a_restart(tmp_path: Path) -> None:
    store = MemoryStore()
    with following(tmp_path, store) as run:
        run.source.write("id1", "one")
        run.wait_idle(processed=1)
    with following(tmp_path, store, start=False) as again:
        again.source.files = run.source.files
        again.source.texts = run.source.texts
        again.thread.start()
        again.wait_status("idle")
        again.wait_scan()
        assert (again.source.fetched, again.seen.names.count("pipeline:file_processing_started")) == ([], 0)


def test_a_new_version_with_the_same_content_is_fetched_but_not_embedded(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("id1", "one")
        run.wait_idle(processed=1)
        run.source.write("id1", "one")
        run.wait_idle(processed=2)
        assert run.test.embedder.embedded == 1
        assert run.state()["files_completed"][-1]["result"] == {"unchanged": True}


def test_a_renamed_file_is_found_under_its_new_name(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("id1", "one", "old.txt")
        run.wait_idle(processed=1)
        run.source.rename("id1", "new.txt")
        run.wait_idle(processed=2)
        assert [file.name for file in run.store.files("scope").values()] == ["new.txt"]
        run.wait_scan()
        assert (run.attempts().total_processed, run.state()["total_deleted"]) == (2, 0)


def test_a_file_that_may_not_be_downloaded_is_skipped_with_reason_and_link(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("id1", "one", link="https://drive/1")
        run.source.errors["id1"] = SkippedError("id1.txt may not be downloaded")
        run.source.unreadable["id2"] = Unreadable(
            "id2", "map", "a map has no text", is_error=False, link="https://drive/2"
        )
        run.thread.start()
        run.wait(lambda: run.state()["total_skipped"] == 2)
        skipped = {file["id"]: (file["link"], file["error"]["message"]) for file in run.state()["files_skipped"]}
        assert skipped == {
            "id1": ("https://drive/1", "id1.txt may not be downloaded"),
            "id2": ("https://drive/2", "a map has no text"),
        }
        assert run.rows()["id1"].outcome is Outcome.SKIPPED


def test_a_broken_download_fails_in_its_stage_and_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 0.2)
    with following(tmp_path, start=False) as run:
        run.source.write("id1", "one")
        run.source.errors["id1"] = DamagedError("id1.txt came damaged")
        run.thread.start()
        run.wait(lambda: run.attempts().total_failed >= 2)
        error = run.state()["files_failed"][0]["error"]
        assert (error["stage"], error["type"], error["retryable"]) == ("downloading", "DamagedError", True)
        run.source.errors.clear()
        run.wait_idle(processed=1)
        assert run.state()["files_completed"][0]["attempt"] >= 3


def test_a_file_deleted_before_its_download_leaves_nothing_behind(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("id1", "one")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        run.source.remove("id1")
        run.source.hold.set()
        run.wait(lambda: run.state()["total_deleted"] == 1)
        assert (run.store.texts(), run.rows(), run.state()["files_in_flight"]) == ({}, {}, 0)
        assert run.source.rechecks == 1


def test_an_unavailable_source_is_an_error_with_the_time_of_the_next_scan(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("id1", "one")
        run.wait_idle(processed=1)
        run.source.down = SourceUnavailableError("Drive does not answer", 1.0)
        run.wait_status("error")
        state = run.state()
        assert (state.get("message"), state["is_checking"]) == ("Drive does not answer", False)
        assert 0 < state["seconds_until_next_check"] <= 1.0
        run.source.write("id2", "two")
        run.source.down = None
        run.wait_idle(processed=2)
        assert (run.state().get("message"), run.state()["total_deleted"]) == (None, 0)


def test_a_source_that_becomes_unavailable_during_downloads_fails_no_file(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        for number in range(5):
            run.source.write(f"id{number}", f"text {number}")
        run.source.hold.clear()
        run.thread.start()
        run.wait(lambda: len(run.in_flight()) == 2)
        run.source.down = SourceUnavailableError("the network is gone", 0.5)
        run.source.hold.set()
        run.wait_status("error")
        assert {stage for stage, _ in run.in_flight().values()} <= {"waiting", "downloading"}
        run.source.down = None
        run.wait_idle(processed=5)
        assert (run.state()["total_failed"], run.state()["files_in_flight"]) == (0, 0)
        assert run.store.writes == {f"id{number}": 1 for number in range(5)}


def test_files_in_flight_are_counted_while_the_source_is_unavailable(tmp_path: Path) -> None:
    go_on = threading.Event()
    with following(tmp_path, start=False) as run:
        run.source.write("id1", "one")
        run.test.embedder.before = lambda: go_on.wait(run.seconds)
        run.thread.start()
        run.wait(lambda: run.in_flight() == {"id1": ("embedding", 1)})
        run.source.down = SourceUnavailableError("Drive does not answer", 3600.0)
        run.wait_status("error")
        go_on.set()
        run.wait(lambda: run.state()["files_stored"] == 1)
        assert (run.state()["status"], run.state()["total_processed"]) == ("error", 1)


@pytest.mark.parametrize("when", ["looking", "fetching"])
def test_a_single_pass_ends_with_the_error_that_the_source_names(tmp_path: Path, when: str) -> None:
    with following(tmp_path, single=True, start=False) as run:
        run.source.write("id1", "one")
        trouble = SourceUnavailableError("Drive does not answer", ends_with=ServiceError)
        if when == "looking":
            run.source.down = trouble
        else:
            run.source.errors["id1"] = trouble
        run.thread.start()
        run.thread.join(20)
        assert isinstance(run.error, ServiceError)
        assert str(run.error) == "Papers: Drive does not answer"
        assert run.state()["status"] == "error"


def test_another_error_of_the_source_ends_the_pipeline(tmp_path: Path) -> None:
    class RevokedError(ServiceError):
        pass

    with following(tmp_path, start=False) as run:

        def scan(_: object) -> object:
            raise RevokedError("the access was revoked: sign in again")

        run.source.scan = scan  # type: ignore[method-assign,assignment]
        run.thread.start()
        run.thread.join(20)
        assert isinstance(run.error, RevokedError)
        assert (run.state()["status"], run.state().get("message")) == ("error", "the access was revoked: sign in again")


def test_a_stop_during_a_download_or_a_scan_loses_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    with following(tmp_path, store, start=False) as run:
        run.source.write("id1", "one")
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        run.source.hold_scan.clear()
        assert run.source.scan_held.wait(20)
        run.end()
        assert run.in_flight() == {"id1": ("interrupted", 1)}
        assert run.state()["status"] == "stopped"
    with following(tmp_path, store, start=False) as again:
        again.source.write("id1", "one")
        again.thread.start()
        again.wait_idle(processed=1)
        assert store.writes == {"id1": 1}


def test_requests_are_refused_after_the_end(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.wait_status("idle")
        run.end()
        with pytest.raises(ControlError, match="has ended"):
            run.ask(Action.CHECK)


def test_the_same_snapshot_is_not_planned_again_while_work_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[WorkPlan] = []

    def counted(*args: Any, **kwargs: Any) -> WorkPlan:
        plans.append(make_plan(*args, **kwargs))
        return plans[-1]

    monkeypatch.setattr(pipeline, "make_plan", counted)
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 0.1)
    with following(tmp_path, start=False, interval=0.1, workers=1) as run:
        for number in range(5):
            run.source.write(f"{number}", f"text {number}")
        run.source.errors["1"] = DamagedError("broken on the way")
        scan = run.source.scan
        found = scan(lambda: None)
        monkeypatch.setattr(run.source, "scan", lambda check: scan(check) and found)
        run.source.hold.clear()
        run.thread.start()
        run.wait_held()
        scans = run.source.scans
        run.wait(lambda: run.source.scans > scans + 3)
        assert len(plans) == 1
        run.source.hold.set()
        run.wait(lambda: run.attempts().total_failed >= 2)
        run.source.errors.clear()
        run.wait_idle(processed=5)
        for _ in range(2):
            run.wait_scan()  # the plan that finds no work is made with no job running
        made = len(plans)
        for _ in range(3):
            run.wait_scan()
        assert len(plans) == made
        run.source.write("5", "text 5")
        found = scan(lambda: None)
        run.wait_idle(processed=6)
