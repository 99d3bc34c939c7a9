from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, StateError
from rag_pipeline.sources.following import job_runner, pipeline
from rag_pipeline.sources.ledger import EventPosition, SourceRecord
from rag_pipeline.sources.local_files.scan import current_version
from rag_pipeline.status.control import Action
from rag_pipeline.status.pipeline import core_of
from tests.sources.local_files.running import running
from tests.sources.memory_stages import MemoryStore

pytestmark = pytest.mark.slow


def test_new_changed_and_deleted_files_are_followed(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one\ntwo")
        run.write("sub/b.txt", "three")
        run.wait_idle(processed=2)
        assert run.store.texts() == {"a.txt": ["one", "two"], "sub/b.txt": ["three"]}
        run.write("a.txt", "four")
        run.wait_idle(processed=3)
        assert run.store.texts()["a.txt"] == ["four"]
        shutil.rmtree(run.folder / "sub")
        run.wait(lambda: run.state()["total_deleted"] == 1)
        assert run.store.texts() == {"a.txt": ["four"]}
        assert run.ended("deleted") == ["sub/b.txt"]
        assert list(run.rows()) == ["a.txt"]


def test_the_status_shows_scans_and_queue(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        for number in range(5):
            run.write(f"{number}.txt", f"x {number}")
        run.test.extractor.hold.clear()
        run.thread.start()
        run.wait(lambda: run.state()["files_in_flight"] == 2 and run.state()["files_queued"] == 3)
        state = run.state()
        assert (state["status"], state["check_interval"]) == ("processing", 0.3)
        assert state["last_check_time"] < state["next_check_time"]
        run.test.extractor.hold.set()
        run.wait_idle(processed=5)
        state = run.state()
        assert (state["files_queued"], state["files_in_flight"], state["files_stored"]) == (0, 0, 5)
    assert run.state()["status"] == "stopped"
    words = [event.payload()["status"] for event in run.seen.events if event.name == "pipeline:status"]
    assert list(dict.fromkeys(words)) == ["initializing", "scanning", "processing", "idle", "stopped"]


def test_a_half_written_file_waits_until_it_is_stable(tmp_path: Path) -> None:
    # Much longer than any pause of the writer, on a busy machine too.
    with running(tmp_path, settle_seconds=3.0) as run:
        stop = threading.Event()
        path = run.write("a.txt", "start")

        def write_on() -> None:
            while not stop.wait(0.05):
                with path.open("a") as file:
                    file.write("\nmore")

        writer = threading.Thread(target=write_on)
        writer.start()
        try:
            run.wait(lambda: run.state()["files_queued"] == 1)
            run.write("b.txt", "done")
            run.wait(lambda: run.state()["total_processed"] == 1)
            assert list(run.store.texts()) == ["b.txt"]
        finally:
            stop.set()
            writer.join()
        run.wait_idle(processed=2)
        assert run.store.texts()["a.txt"] == path.read_text().split()


def test_a_file_that_changes_during_ingestion_ends_with_the_newest_content(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        run.write("a.txt", "old")
        run.test.extractor.hold.clear()
        run.thread.start()
        assert run.test.extractor.holding.wait(20)
        run.write("a.txt", "newer")
        run.test.extractor.hold.set()
        run.wait_idle(processed=1)
        assert run.store.texts() == {"a.txt": ["newer"]}
        assert run.store.writes == {"a.txt": 1}


@pytest.mark.parametrize("when", ["extracting", "embedding"])
def test_a_single_pass_stores_the_newest_content_whenever_a_file_changes(tmp_path: Path, when: str) -> None:
    with running(tmp_path, single=True, start=False) as run:
        run.write("a.txt", "old")
        changes = iter(["newer"])

        def change() -> None:
            for text in changes:
                run.write("a.txt", text)

        if when == "embedding":
            run.test.embedder.before = change
        else:
            run.test.extractor.before = change
        run.thread.start()
        run.thread.join(20)
        assert not run.thread.is_alive()
        assert run.store.texts() == {"a.txt": ["newer"]}


def test_a_file_deleted_during_ingestion_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        run.write("a.txt", "old")
        run.test.extractor.hold.clear()
        run.thread.start()
        assert run.test.extractor.holding.wait(20)
        (run.folder / "a.txt").unlink()
        run.test.extractor.hold.set()
        run.wait(lambda: run.state()["total_deleted"] == 1 and run.state()["status"] == "idle")
        state = run.state()
        assert (state["files_in_flight"], state["total_failed"], run.store.kept, run.rows()) == (0, 0, {}, {})


def test_a_restart_resumes_and_repeats_no_work(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write("a.txt", "one")
        run.write("skip.txt", "unsupported")
        run.thread.start()
        run.thread.join(20)
    run.write("b.txt", "two")
    os.utime(run.folder / "a.txt")  # touched: hashed, not ingested again
    with running(tmp_path, store, single=True) as again:
        assert again.test.extractor.read == ["b.txt"]
        assert again.ended("completed") == ["b.txt"]
        assert again.ended("skipped") == []
    with running(tmp_path, store, single=True) as third:
        assert third.test.extractor.read == []
        assert [name for name in third.seen.names if name != "pipeline:status"] == []


def test_a_file_stored_before_a_kill_is_adopted_if_the_ledger_missed_it(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write("a.txt", "one")
        run.write("b.txt", "two")
        run.thread.start()
        run.thread.join(20)
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    del store.kept["scope", "b.txt"]
    with running(tmp_path, store, single=True) as again:
        assert again.test.extractor.read == ["b.txt"]
        assert store.writes == {"a.txt": 1, "b.txt": 2}


def test_a_file_deleted_between_runs_leaves_the_store(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write("a.txt", "one")
        run.write("b.txt", "two")
        run.thread.start()
        run.thread.join(20)
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    (run.folder / "b.txt").unlink()
    with running(tmp_path, store, single=True) as again:
        assert list(store.texts()) == ["a.txt"]
        assert again.ended("deleted") == ["b.txt"]


def test_another_configuration_ingests_everything_again(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write("a.txt", "one")
        run.write("b.txt", "unsupported")
        run.thread.start()
        run.thread.join(20)
    with running(tmp_path, store, single=True, config_hash="r2") as again:
        assert sorted(again.test.extractor.read) == ["a.txt", "b.txt"]


def test_a_renamed_file_is_found_only_under_its_new_name(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("old/a.txt", "one")
        run.wait_idle(processed=1)
        (run.folder / "old").rename(run.folder / "new")
        run.wait(lambda: list(run.store.texts()) == ["new/a.txt"] and run.state()["total_deleted"] == 1)


def test_failed_and_skipped_files_do_not_stop_others(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        run.write("bad.txt", "corrupt")
        run.write("empty.txt", "")
        run.write("good.txt", "one")
        os.mkfifo(run.folder / "pipe")
        (run.folder / "loop").symlink_to(".")
        run.thread.start()
        run.wait_idle(processed=1)
        run.wait(lambda: run.state()["total_skipped"] == 3)
        state = run.state()
        assert state["total_failed"] == 1
        assert sorted(file["name"] for file in state["files_skipped"]) == ["empty.txt", "loop", "pipe"]
        emitted = len(run.ended("skipped")) + len(run.ended("failed"))
        checked = state["last_check_time"]
        run.wait(lambda: run.state()["last_check_time"] > checked)
        assert len(run.ended("skipped")) + len(run.ended("failed")) == emitted == 4


def test_a_file_that_becomes_damaged_loses_its_stored_text(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.write("a.txt", "corrupt")
        run.wait(lambda: run.state()["total_failed"] == 1)
        assert run.store.kept == {}
        run.write("a.txt", "two")
        run.wait_idle(processed=2)
        assert run.store.texts() == {"a.txt": ["two"]}


def fail() -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_retryable_error_keeps_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 0.2)
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.test.extractor.before = fail
        run.write("a.txt", "two")
        run.wait(lambda: run.attempts().total_failed >= 2)
        assert run.store.texts() == {"a.txt": ["one"]}
        run.test.extractor.before = lambda: None
        run.wait_idle(processed=2)
        assert run.store.texts() == {"a.txt": ["two"]}


def test_files_taken_over_by_another_process_end_the_pipeline_without_failures(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store) as run:
        run.wait_idle(processed=0)
        store.error = StateError("the files of papers are written by another process")
        run.write("a.txt", "one")
        run.wait_over()
        assert run.error is store.error
        assert (run.state()["status"], run.state().get("message")) == ("error", str(store.error))
        assert run.state()["total_failed"] == 0


def test_a_missing_folder_does_not_delete_its_files(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        run.folder.rename(tmp_path / "away")
        run.wait(lambda: run.state()["status"] == "error")
        assert "can't be read" in run.state().get("message", "")
        # An empty mount point: another folder.
        run.folder.mkdir()
        run.wait(lambda: "not mounted?" in run.state().get("message", ""))
        assert list(run.store.texts()) == ["a.txt"]
        run.folder.rmdir()
        (tmp_path / "away").rename(run.folder)
        run.wait(lambda: run.state()["status"] == "idle")
        assert run.state().get("message") is None
        run.write("b.txt", "two")
        run.wait_idle(processed=2)
        assert run.state()["total_deleted"] == 0


def test_a_folder_that_vanishes_during_ingestion_loses_no_file_and_retries_wait(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        for number in range(20):
            run.write(f"{number}.txt", f"old {number}")
        run.write("bad.txt", "corrupt")
        run.wait_idle(processed=20)
        run.test.extractor.hold.clear()
        for number in range(20):
            run.write(f"{number}.txt", f"new text {number}")
        assert run.test.extractor.holding.wait(20)
        run.folder.rename(tmp_path / "away")
        run.test.extractor.hold.set()
        run.wait(lambda: run.state()["status"] == "error")
        assert run.status.control is not None
        run.status.control.ask(Action.RETRY, "bad.txt")
        run.wait(lambda: run.rows()["bad.txt"].retry_at == 0.0)
        assert (len(run.store.texts()), run.state()["total_deleted"], run.state()["total_failed"]) == (20, 0, 1)
        (tmp_path / "away").rename(run.folder)
        run.wait_idle(processed=40)
        assert run.store.texts() == {f"{number}.txt": [f"new text {number}"] for number in range(20)}
        state = run.state()
        assert (state["total_deleted"], run.attempts().total_failed, state["files_in_flight"]) == (0, 2, 0)


def test_a_single_pass_ends_although_a_file_is_deleted_during_ingestion(tmp_path: Path) -> None:
    with running(tmp_path, single=True, start=False) as run:
        path = run.write("a.txt", "one")
        run.test.extractor.before = lambda: path.unlink(missing_ok=True)
        run.thread.start()
        run.wait_over()
        assert (run.error, run.ended("deleted"), run.state()["files_in_flight"]) == (None, ["a.txt"], 0)


def test_an_empty_folder_deletes_nothing_if_the_ledger_was_lost(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
    run.folder.rename(tmp_path / "away")
    with running(tmp_path, run.store, state="another") as again:
        again.wait(lambda: again.state()["status"] == "error")
        assert "not mounted?" in again.state().get("message", "")
        again.folder.rmdir()
        (tmp_path / "away").rename(again.folder)
        again.wait(lambda: again.state()["status"] == "idle")
        assert (list(run.store.texts()), again.state()["total_deleted"]) == (["a.txt"], 0)


def test_another_folder_with_files_is_accepted(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "one")
        run.wait_idle(processed=1)
        other = tmp_path / "other"
        other.mkdir()
        (other / "b.txt").write_text("two")
        run.folder.rename(tmp_path / "away")
        other.rename(run.folder)
        run.wait(lambda: list(run.store.texts()) == ["b.txt"])


def test_all_files_of_a_folder_can_be_deleted(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        path = run.write("a.txt", "one")
        run.wait_idle(processed=1)
        path.unlink()
        run.wait(lambda: not run.store.kept)


def test_an_empty_mount_point_ends_a_single_pass(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write("a.txt", "one")
        run.thread.start()
        run.thread.join(20)
    run.folder.rename(tmp_path / "away")
    with running(tmp_path, store, single=True) as again:
        assert isinstance(again.error, ConfigurationError)
        assert "nothing is taken for deleted" in str(again.error)
        assert list(store.texts()) == ["a.txt"]
        assert again.state()["status"] == "error"


def test_a_single_pass_waits_for_young_files_and_gives_up_on_unstable_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SINGLE_SETTLE_SECONDS", 1.0)
    stop = threading.Event()
    with running(tmp_path, single=True, start=False) as run:
        growing = run.write("growing.txt", "x")

        def write_on() -> None:
            while not stop.wait(0.02):
                with growing.open("a") as file:
                    file.write("x")

        writer = threading.Thread(target=write_on)
        writer.start()
        try:
            run.write("young.txt", "one")
            run.thread.start()
            run.thread.join(20)
        finally:
            stop.set()
            writer.join()
        assert run.error is None
        assert list(run.store.texts()) == ["young.txt"]
        [failed] = run.state()["files_failed"]
        assert failed["error"]["message"] == "growing.txt is still being written to"
        assert failed["error"]["retryable"]


def test_a_stop_loses_nothing_and_fails_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, start=False) as run:
        for number in range(4):
            run.write(f"{number}.txt", f"x {number}")
        run.test.extractor.hold.clear()
        run.thread.start()
        assert run.test.extractor.holding.wait(20)
        run.end()
        state = run.state()
        assert (state["status"], state["total_failed"], state["total_processed"]) == ("stopped", 0, 0)
        assert {file["stage"] for file in state["files_processing"]} == {"interrupted"}
        assert run.seen.names[-1] == "pipeline:status"
    with running(tmp_path, store, single=True) as again:
        assert store.writes == {f"{number}.txt": 1 for number in range(4)}
        assert again.state()["total_processed"] == 4


def test_an_unwritable_ledger_ends_the_run_with_its_error(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        run.write("a.txt", "one")
        run.ledger.set_source(SourceRecord(str(run.folder.resolve()), "0:0"))
        run.ledger._db.run("PRAGMA query_only = ON")
        run.thread.start()
        run.thread.join(20)
        assert isinstance(run.error, StateError)
        assert "readonly" in str(run.error)
        assert run.state()["status"] == "error"


def test_a_collection_of_another_folder_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        run.ledger.set_source(SourceRecord("/elsewhere", "0:0"))
        run.thread.start()
        run.thread.join(20)
        assert isinstance(run.error, StateError)
        assert "choose another id for the pipeline, or another state folder" in str(run.error)


def test_a_state_folder_below_the_watched_one_is_not_ingested(tmp_path: Path) -> None:
    with running(tmp_path, start=False, state="docs/state-here") as run:
        run.write("a.txt", "one")
        run.write("state-here/notes.txt", "x")
        run.thread.start()
        run.wait_idle(processed=1)
        assert list(run.store.texts()) == ["a.txt"]


def test_a_new_mode_or_link_during_ingestion_costs_a_hash_and_no_embedding(tmp_path: Path) -> None:
    with running(tmp_path, start=False) as run:
        path = run.write("a.txt", "one")

        def change() -> None:
            path.chmod(0o600)
            os.link(path, tmp_path / "another name")

        run.test.extractor.before = lambda: path.chmod(0o640)
        run.test.embedder.before = change
        run.thread.start()
        run.wait_idle(processed=1)
        run.wait(lambda: run.rows()["a.txt"].version == current_version(str(path)))
        assert (run.test.embedder.embedded, run.store.writes) == (1, {"a.txt": 1})
        assert run.ended("completed") == ["a.txt"]


def test_a_file_with_a_new_inode_is_unchanged_without_an_event(tmp_path: Path) -> None:
    texts = {"good.txt": "one", "skipped.txt": "unsupported", "failed.txt": "corrupt"}
    with running(tmp_path) as run:
        paths = [run.write(name, text) for name, text in texts.items()]
        run.wait(lambda: len(run.rows()) == 3 and run.state()["status"] == "idle")
        events = [event.name for event in run.seen.events]
        versions = {name: row.version for name, row in run.rows().items()}
        for path in paths:
            info = path.stat()
            copy = tmp_path / "copy"
            copy.write_bytes(path.read_bytes())
            os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
            copy.replace(path)
        run.wait(lambda: all(row.version != versions[name] for name, row in run.rows().items()))
        run.wait(lambda: run.state()["status"] == "idle")
        assert run.test.embedder.embedded == 1
        assert sorted(run.test.extractor.read) == sorted(texts)
        assert [event.name for event in run.seen.events if event.name != "pipeline:status"] == [
            name for name in events if name != "pipeline:status"
        ]
        assert run.status.control is not None
        run.status.control.ask(Action.RETRY, "failed.txt")
        run.wait(lambda: run.test.extractor.read.count("failed.txt") == 2)


def test_a_refused_file_is_stored_once_its_content_is_good(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.write("a.txt", "unsupported")
        run.wait(lambda: run.state()["total_skipped"] == 1)
        run.write("a.txt", "good")
        run.wait_idle(processed=1)
        run.write("a.txt", "unsupported")
        run.wait(lambda: run.store.texts() == {} and run.state()["total_skipped"] == 1)


@pytest.mark.parametrize("half", ["corrupt", "the beginning"])
def test_a_file_written_with_long_pauses_ends_with_the_whole_text(tmp_path: Path, half: str) -> None:
    with running(tmp_path, settle_seconds=0.1) as run:
        path = run.write("a.txt", half)
        for _ in range(10):
            run.wait(lambda: path.name in run.rows() and run.state()["status"] == "idle")
            run.write("a.txt", path.read_text() + "\nmore")
            run.wait(lambda: run.rows()["a.txt"].version == current_version(str(path)))
        run.write("a.txt", "the beginning\nthe end")
        run.wait(lambda: run.store.texts() == {"a.txt": ["the beginning", "the end"]})
        run.wait(lambda: run.state()["total_processed"] == 1)
        assert (run.state()["total_failed"], run.rows()["a.txt"].attempts) == (0, 0)


def test_versions_with_inodes_of_an_older_ledger_cause_no_ingestion(tmp_path: Path) -> None:
    store = MemoryStore()
    with running(tmp_path, store, single=True, start=False) as run:
        run.write("a.txt", "one")
        run.write("b.txt", "unsupported")
        run.thread.start()
        run.wait_over()
        body = core_of(run.status).snapshot()
        assert body.epoch is not None
        position = EventPosition(body.epoch, body.seq)
        for key, row in run.rows().items():
            run.ledger.put(key, row._replace(version=f"{row.version}:1234"))
            run.ledger.mark_reported(key, position)
    with running(tmp_path, store, single=True) as again:
        assert again.test.extractor.read == []
        assert again.ended("skipped") == []


def test_text_from_outside_links_is_deleted_once_they_are_not_followed(tmp_path: Path) -> None:
    store = MemoryStore()
    secret = tmp_path / "elsewhere.txt"
    secret.write_text("from elsewhere")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "link.txt").symlink_to(secret)
    with running(tmp_path, store, single=True, follow_outside_links=True):
        assert list(store.texts()) == ["link.txt"]
    with running(tmp_path, store, single=True) as run:
        assert store.texts() == {}
        assert run.ended("skipped") == ["link.txt"]
    with running(tmp_path, store, single=True, follow_outside_links=True):
        assert list(store.texts()) == ["link.txt"], "and comes back with the setting"
