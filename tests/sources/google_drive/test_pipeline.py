"""The whole pipeline over the fake Drive: files and status."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rag_pipeline.sources.following import status_reporter
from rag_pipeline.sources.google_drive.errors import CredentialsError, DriveError
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from rag_pipeline.sources.ledger import Outcome
from tests.drive import DriveServer, corrupt, cut_headers, error, slow, stall
from tests.sources.google_drive.pipeline_run import PipelineRun, run_pipeline
from tests.sources.google_drive.random_changes import RandomChanges
from tests.sources.memory_stages import MemoryStore

pytestmark = pytest.mark.slow

IMPATIENT = RetryPolicy(attempts=2, base_seconds=0.001, cap_seconds=0.002, later_seconds=0.3, read_timeout_seconds=5.0)
STORM_FILES = int(os.environ.get("DRIVE_STORM_FILES", "2000"))
STORM_SEED = int(os.environ.get("DRIVE_STORM_SEED", "6"))


@pytest.fixture
def top(server: DriveServer) -> str:
    return server.drive.add_folder("Papers")


def stages_shown(run: PipelineRun) -> list[str]:
    return [e.payload()["file"]["stage"] for e in run.seen.events if e.name == "pipeline:file_progress"]


def names(run: PipelineRun) -> dict[str, str]:
    return {key: file.name for key, file in run.store.files("scope").items()}


def test_new_changed_moved_and_deleted_files_are_followed(server: DriveServer, top: str, tmp_path: Path) -> None:
    drive = server.drive
    sub = drive.add_folder("sub", top)
    a, b = drive.add_file("same.txt", "one\ntwo", top), drive.add_file("same.txt", "three", sub)
    document = drive.add_doc("Plan", "four\n\nfive", sub)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=3)
        assert run.store.texts() == {a: ["one", "two"], b: ["three"], document: ["four", "five"]}
        drive.set_content(a, "six")
        run.wait_idle(processed=4)
        drive.set_text(document, "seven")
        run.wait_idle(processed=5)
        drive.move(b, drive.root_id)
        drive.trash(a)
        run.wait(lambda: run.state()["total_deleted"] == 2)
        assert run.store.texts() == {document: ["seven"]}
        drive.move(b, top)
        drive.untrash(a)
        run.wait_idle(processed=7)
        assert run.store.texts() == {a: ["six"], b: ["three"], document: ["seven"]}
        assert sorted(run.ended("deleted")) == sorted([a, b])


def test_the_status_shows_names_links_stages_checks_and_queue(
    server: DriveServer, top: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", 0.1)
    files = [server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(7)]
    with run_pipeline(tmp_path, server, top, start=False, workers=2, interval_seconds=0.5) as run:
        run.test.extractor.hold.clear()
        run.thread.start()
        run.wait(lambda: run.state()["files_in_flight"] == 2 and run.state()["files_queued"] == 5)
        state = run.state()
        assert (state["status"], state["check_interval"], state["folder"]) == ("processing", 0.5, "Papers")
        assert state["last_check_time"] < state["next_check_time"]
        entry = state["files_processing"][0]
        assert entry["id"] in files
        assert (entry["size"], entry["mime_type"]) == (1, "text/plain")
        assert entry["link"] == f"https://drive.google.com/file/d/{entry['id']}/view?usp=drivesdk"
        run.wait(lambda: "extracting" in stages_shown(run))
        run.test.extractor.hold.set()
        run.wait_idle(processed=7)
        state = run.state()
        assert (state["files_queued"], state["files_in_flight"], state["files_stored"]) == (0, 0, 7)
        # A scan is one request; a long one is shown in the status.
        server.faults.add(slow(0.5), "changes.list", times=None)
        run.wait(lambda: bool(run.state()["is_checking"]))
        run.wait(lambda: not run.state()["is_checking"])
        server.faults.clear()
    assert list(dict.fromkeys(stages_shown(run)))[:2] == ["downloading", "extracting"]
    assert run.state()["status"] == "stopped"


def test_at_most_one_file_per_worker_is_downloaded_at_once(server: DriveServer, top: str, tmp_path: Path) -> None:
    for number in range(6):
        server.drive.add_file(f"{number}.txt", "x" * 1000, top)
    most: list[int] = []
    with run_pipeline(tmp_path, server, top, start=False, workers=2) as run:
        run.test.extractor.before = lambda: most.append(len(list(run.downloads.folder.iterdir())))
        server.faults.add(slow(0.02), "media", times=None)
        run.thread.start()
        run.wait_idle(processed=6)
    assert 1 <= max(most) <= 2


def test_a_rename_needs_no_download_and_a_date_change_does_nothing(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("old.txt", "one", top)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=1)
        server.drive.touch(key)
        server.drive.rename(key, "new.txt")
        run.wait(lambda: names(run) == {key: "new.txt"})
        run.wait_idle(processed=2)
        assert (run.store.writes, server.requests.count("media")) == ({key: 1}, 1)
        assert run.state()["files_completed"][-1]["name"] == "new.txt"


def test_unreadable_files_are_skipped_with_reason_and_link(server: DriveServer, top: str, tmp_path: Path) -> None:
    drive = server.drive
    good = drive.add_file("good.txt", "x", top)
    expected = {
        drive.add_file("large.txt", "x" * 2_000_000, top): "is 2,000,000 bytes, over the limit of 1,048,576",
        drive.add_file("photo.png", b"\x89PNG", top): "is an image (image/png), which holds no text to read",
        drive.add_doc("Form", "x", top, kind="form"): "is a Google form, which Drive does not export",
        drive.add_file("closed.txt", "x", top, can_download=False): "may not be downloaded by these credentials",
        drive.add_shortcut("again", good, top): "the same file as good.txt (a shortcut)",
    }
    refused = drive.add_file("refused.txt", "x", top)
    server.faults.add(error(403, "domainPolicy"), "files.export", times=None)
    server.faults.add(error(403, "cannotDownloadFile"), "media", file=refused, times=None)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait(lambda: run.state()["total_skipped"] == 6 and run.state()["status"] == "idle")
        state = run.state()
        assert (state["total_processed"], state["total_failed"]) == (1, 0)
        skipped = [e.payload()["file"] for e in run.seen.events if e.name == "pipeline:file_skipped"]
        reasons = {file["id"]: file["error"]["message"] for file in skipped}
        assert reasons.pop(refused) == "refused.txt may not be downloaded by these credentials"
        assert reasons == expected
        assert all(file["link"] for file in skipped)
        assert {row.outcome for row in run.rows().values()} == {Outcome.STORED, Outcome.SKIPPED, Outcome.UNREADABLE}
        # A restored permission is noticed.
        closed = next(key for key, reason in expected.items() if "credentials" in reason)
        drive.set_download(closed, True)
        run.wait_idle(processed=2)


def test_a_file_that_loses_its_permission_during_work_is_skipped_and_not_deleted(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one\n" * 20_000, top)
    server.faults.add(stall(1000), "media")
    with run_pipeline(tmp_path, server, top) as run:
        run.wait(lambda: sum(part.stat().st_size for part in run.downloads.folder.rglob("a.txt")) >= 1000)
        server.drive.set_download(key, False)
        looks = server.requests.count("changes.list")
        run.wait(lambda: server.requests.count("changes.list") >= looks + 2)
        server.faults.release()
        run.wait(lambda: run.state()["total_skipped"] == 1 and run.state()["files_in_flight"] == 0)
    assert (run.ended("deleted"), run.ended("skipped"), run.store.texts()) == ([], [key], {})


def test_a_refused_and_then_damaged_file_is_tried_once_per_pass(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    server.faults.add(error(403, "cannotDownloadFile"), "media")
    with run_pipeline(tmp_path, server, top, single=True) as run:
        assert run.ended("skipped") == [key]
    server.drive.touch(key)
    server.faults.add(corrupt(), "media", times=None)
    with run_pipeline(tmp_path, server, top, single=True) as run:
        assert run.state()["total_failed"] == 1


def test_a_name_with_invalid_unicode_is_shown_and_stored(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("x\ud83d.txt", "one", top)
    with run_pipeline(tmp_path, server, top, single=True) as run:
        assert run.error is None
        assert names(run) == {key: "x\ufffd.txt"}


def test_a_network_outage_is_shown_with_the_next_attempt_and_recovers_by_itself(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with run_pipeline(tmp_path, server, top, policy=IMPATIENT) as run:
        run.wait_idle(processed=1)
        server.faults.add(cut_headers(), None, times=None)
        run.wait(lambda: bool(run.state()["status"] == "error"))
        state = run.state()
        assert "Google Drive" in state["message"]
        assert (state["is_checking"], state["files_queued"]) == (False, 0)
        assert state["next_check_time"] is not None
        server.drive.set_content(key, "two")
        server.drive.add_file("b.txt", "three", top)
        server.faults.clear()
        run.wait_idle(processed=3)
        assert "message" not in run.state()
        assert (run.state()["total_failed"], run.state()["total_deleted"]) == (0, 0)


def test_a_network_outage_during_a_download_fails_no_file(server: DriveServer, top: str, tmp_path: Path) -> None:
    files = {server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(6)}
    server.faults.add(cut_headers(), "media", times=None)
    with run_pipeline(tmp_path, server, top, policy=IMPATIENT) as run:
        run.wait(lambda: bool(run.state()["status"] == "error"))
        server.faults.clear()
        run.wait_idle(processed=6)
        assert (run.state()["total_failed"], set(run.store.texts())) == (0, files)


def test_a_single_pass_stores_everything_and_the_next_one_repeats_nothing(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    files = {server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(5)}
    store = MemoryStore()
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert (run.error, run.state()["total_processed"], set(store.texts())) == (None, 5, files)
    server.requests.clear()
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert (run.error, run.state()["total_processed"]) == (None, 0)
    operations = {name: count for name, count in server.requests.operations().items() if name != "token"}
    assert operations == {"files.get": 1, "changes.list": 1}


@pytest.mark.parametrize("lost", ["mirror", "ledger", "both"])
def test_a_lost_state_is_rebuilt_without_embedding_a_file_again(
    server: DriveServer, top: str, tmp_path: Path, lost: str
) -> None:
    for number in range(5):
        server.drive.add_file(f"{number}.txt", f"{number}", top)
    server.drive.add_doc("Plan", "x", top)
    store = MemoryStore()
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert run.error is None
    for name in ("mirror", "ledger"):
        if lost in (name, "both"):
            for path in (tmp_path / "state").glob(f"{name}.sqlite3*"):
                path.unlink()
    gone = server.drive.add_file("new.txt", "new", top)
    writes, fetched = dict(store.writes), server.requests.count("media")
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert run.error is None
        assert run.test.embedder.embedded == 1
    assert store.writes == {**writes, gone: 1}
    if lost == "mirror":
        assert server.requests.count("media") == fetched + 1


def test_after_an_expired_page_token_only_changed_files_are_processed(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    files = [server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(5)]
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=5)
        server.drive.set_content(files[0], "changed")
        server.drive.delete(files[1])
        server.expire_change_tokens()
        run.wait_idle(processed=6)
        run.wait(lambda: run.state()["total_deleted"] == 1)
        assert server.requests.count("media") == 6
        assert run.store.texts()[files[0]] == ["changed"]


def test_a_trashed_watched_folder_is_an_error_until_it_is_restored_and_deletes_no_file(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=1)
        server.drive.trash(top)
        run.wait(lambda: bool(run.state()["status"] == "error"))
        assert run.state()["message"] == "the folder is in the trash"
        assert run.store.texts() == {key: ["one"]}
        server.drive.untrash(top)
        run.wait_idle(processed=1)
        assert (run.state()["total_deleted"], run.store.writes) == (0, {key: 1})


def test_credentials_that_never_worked_end_the_run_with_the_remedy(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    server.grants.revoke()
    with run_pipeline(tmp_path, server, top) as run:
        run.thread.join(30)
        assert isinstance(run.error, CredentialsError)
        assert str(run.error).startswith("Google refuses the key of pipeline@tests.iam.gserviceaccount.com")
        assert run.state()["status"] == "error"


def test_a_single_pass_without_network_ends_with_a_one_line_error(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    server.faults.add(cut_headers(), None, times=None)
    with run_pipeline(tmp_path, server, top, single=True, policy=IMPATIENT) as run:
        assert isinstance(run.error, DriveError)
        assert str(run.error).startswith("Papers: ")
        assert "\n" not in str(run.error)


def test_after_random_failures_and_changes_of_many_files_the_store_is_exactly_right(
    server: DriveServer, tmp_path: Path
) -> None:
    storm = RandomChanges(server, STORM_FILES, seed=STORM_SEED)
    store = MemoryStore()
    server.faults.random(0.03, seed=STORM_SEED, refusal_rate=0.001)
    server.behaviour.or_queries_miss_share = 0.3
    for life in range(3):
        with run_pipeline(tmp_path, server, storm.top, store, workers=8) as run:
            done = threading.Event()

            def rage(done: threading.Event = done) -> None:
                for number in range(STORM_FILES // 8):
                    storm.change()
                    server.behaviour.entries_for_descendants = number % 3 == 0
                    server.behaviour.short_pages = number % 5 == 0
                    if number % 50 == 49:
                        storm.hide()
                storm.show()
                done.set()

            # The first two runs are stopped somewhere in the middle.
            target = len(storm.expected()) * life // 3
            run.wait(lambda least=target: len(store.kept) >= least, 120)  # type: ignore[misc]
            rage()
            if life < 2:
                continue
            run.wait(lambda: _is_right(run, storm), 60)
    media, total = server.requests.count("media"), len(server.requests)
    print(f"{len(store.kept)} files: {total} requests, {server.requests.operations()}, {media} downloads")
    assert server.faults.random_hits > total // 100


def _is_right(run: PipelineRun, storm: RandomChanges) -> bool:
    state = run.state()
    if state["status"] != "idle" or state["files_in_flight"]:
        return False
    found = {
        key: (file.name, texts) for key, texts in run.store.texts().items() for file in [run.store.files("scope")[key]]
    }
    return found == storm.expected()
