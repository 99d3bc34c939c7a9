from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.errors import CredentialsError, DownloadError, DriveError, RefusedError
from rag_pipeline.sources.google_drive.source import PERSON_SECONDS
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from rag_pipeline.sources.source import FoundFile, SkippedError, SourceUnavailableError
from tests.drive import DriveServer, corrupt, cut_headers, error, page_token_gone, unauthorized
from tests.drive.fields import cut_down
from tests.sources.google_drive.random_changes import RandomChanges
from tests.sources.google_drive.support import OpenedSource, StopAfter, no_check, open_source

IMPATIENT = RetryPolicy(attempts=2, base_seconds=0.001, cap_seconds=0.002, later_seconds=7.0, read_timeout_seconds=5.0)


@pytest.fixture
def top(server: DriveServer) -> str:
    return server.drive.add_folder("top")


def operations(server: DriveServer) -> list[str]:
    made = [request.operation for request in server.requests if request.operation != "token"]
    server.requests.clear()
    return made


def read(seen: OpenedSource, file: FoundFile) -> str:
    """Fetch a file, and return its text."""
    with seen.source.fetch(file, lambda _: None, no_check) as content:
        return Path(content.path).read_text()


def look(seen: OpenedSource) -> dict[str, FoundFile]:
    return dict(seen.source.scan(no_check).files)


def left(seen: OpenedSource) -> list[Path]:
    return list(seen.downloads.folder.iterdir())


# -- Scans -------------------------------------------------------------------------------------------------------------


def test_the_first_scan_lists_everything_and_a_later_one_sends_one_request(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    sub = server.drive.add_folder("sub", top)
    files = {server.drive.add_file(f"{number}.txt", "x", sub) for number in range(5)}
    with open_source(tmp_path, server, top) as seen:
        assert seen.source.status_fields == {"folder": top}
        assert seen.ids() == files
        assert seen.source.status_fields == {"folder": "top"}
        # The token is requested before the listing, and the changes since then after it.
        assert operations(server) == [
            *("files.get", "changes.getStartPageToken", "files.get"),  # the folder and its parent
            *("files.list", "files.list", "changes.list"),
        ]
        assert seen.source.scan(no_check) is seen.source.scan(no_check)
        assert operations(server) == ["changes.list"] * 2
    with open_source(tmp_path, server, top) as seen:
        assert seen.ids() == files
        assert operations(server) == ["files.get", "changes.list"]


def test_a_file_that_drive_confirms_as_gone_is_gone(server: DriveServer, top: str, tmp_path: Path) -> None:
    sub = server.drive.add_folder("sub", top)
    trashed, moved = server.drive.add_file("a.txt", "x", top), server.drive.add_file("b.txt", "x", top)
    below = server.drive.add_file("c.txt", "x", sub)
    with open_source(tmp_path, server, top) as seen:
        assert seen.ids() == {trashed, moved, below}
        server.drive.trash(trashed)
        server.drive.move(moved, server.drive.root_id)
        server.drive.trash(sub)
        found = seen.source.scan(no_check)
        assert found.confirm_missing is not None
        found = found.confirm_missing({trashed, moved, below}, no_check)
        assert [found.is_gone(key) for key in (trashed, moved, below)] == [True] * 3
        assert [found.may_exist(key) for key in (trashed, moved, below)] == [False] * 3


def test_changes_during_the_first_pass_are_not_missed(server: DriveServer, top: str, tmp_path: Path) -> None:
    listed, unlisted = server.drive.add_folder("one", top), server.drive.add_folder("two", top)
    moved = server.drive.add_file("moved.txt", "x", unlisted)
    done: list[bool] = []

    def change() -> None:
        # After the first level is listed.
        if server.requests.count("files.list") == 1 and not done:
            done.append(True)
            server.drive.move(moved, top)
            server.drive.move(unlisted, listed)

    with open_source(tmp_path, server, top) as seen:
        assert set(seen.source.scan(change).files) == {moved}
        assert done


def test_an_interrupted_first_pass_is_resumed(server: DriveServer, top: str, tmp_path: Path) -> None:
    folders = [server.drive.add_folder(f"{number}", top) for number in range(3)]
    files = {server.drive.add_file("a.txt", "x", server.drive.add_folder("deep", folder)) for folder in folders}
    with open_source(tmp_path, server, top) as seen, pytest.raises(Stopped):
        # The first check is for the parent folder, the others for the listing of two levels.
        seen.source.scan(StopAfter(3))
    new = server.drive.add_file("b.txt", "x", top)
    operations(server)
    with open_source(tmp_path, server, top) as seen:
        assert seen.ids() == {*files, new}
    assert operations(server) == ["files.get", "files.list", "changes.list"]


@pytest.mark.parametrize("status", [410, 400])
def test_an_expired_page_token_causes_one_full_pass(server: DriveServer, top: str, tmp_path: Path, status: int) -> None:
    server.behaviour.gone_status = status
    kept, gone = (server.drive.add_file(name, "x", top) for name in ("a.txt", "b.txt"))
    with open_source(tmp_path, server, top) as seen:
        before = look(seen)
        server.drive.delete(gone)
        new = server.drive.add_file("c.txt", "x", server.drive.add_folder("sub", top))
        server.expire_change_tokens()
        operations(server)
        assert seen.ids() == {kept, new}
        assert operations(server).count("files.list") == 2
        assert look(seen)[kept] == before[kept]
        assert operations(server) == ["changes.list"]


def test_tokens_that_are_always_rejected_cause_no_endless_loop(server: DriveServer, top: str, tmp_path: Path) -> None:
    server.drive.add_file("a.txt", "x", top)
    with open_source(tmp_path, server, top) as seen:
        server.faults.add(page_token_gone(), "changes.list", times=None)
        with pytest.raises(SourceUnavailableError, match="rejects the page tokens that it issues"):
            seen.source.scan(no_check)
        server.faults.clear()
        assert len(seen.ids()) == 1


def test_a_lost_mirror_is_rebuilt_with_the_same_content(server: DriveServer, top: str, tmp_path: Path) -> None:
    server.drive.add_file("a.txt", "x", server.drive.add_folder("sub", top))
    server.drive.add_doc("Plan", "x", top)
    with open_source(tmp_path, server, top) as seen:
        before = look(seen)
    for file in tmp_path.glob("mirror.sqlite3*"):
        file.unlink()
    with open_source(tmp_path, server, top) as seen:
        assert look(seen) == before


def test_another_account_sees_another_drive(server: DriveServer, top: str, tmp_path: Path) -> None:
    server.drive.add_file("a.txt", "x", top)
    with open_source(tmp_path, server, top) as seen:
        seen.ids()
    operations(server)
    with open_source(tmp_path, server, top) as seen:
        seen.source._account = "somebody else"
        seen.ids()
    # The token belonged to the other account.
    assert "changes.getStartPageToken" in operations(server)


def test_a_folder_invisible_to_another_account_is_a_configuration_error(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    with open_source(tmp_path, server, top) as seen:
        seen.ids()
    server.drive.revoke(top)
    with open_source(tmp_path, server, top) as seen, pytest.raises(SourceUnavailableError):
        seen.ids()
    with open_source(tmp_path, server, top) as seen:
        seen.source._account = "somebody else"
        with pytest.raises(ConfigurationError, match="the folder is not there, or not shared with these credentials"):
            seen.ids()


def test_an_answer_without_the_list_of_files_is_not_an_empty_folder(
    server: DriveServer, top: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = server.drive.add_file("a.txt", "x", top)
    with open_source(tmp_path, server, top, policy=IMPATIENT) as seen:
        assert seen.ids() == {file}
        server.expire_change_tokens()
        with monkeypatch.context() as patched:
            patched.setattr(
                "tests.drive.api.cut_down", lambda made, mask: {} if "files" in mask else cut_down(made, mask)
            )
            with pytest.raises(SourceUnavailableError, match="unreadable content"):
                seen.ids()
        assert seen.ids() == {file}


def test_a_folder_that_moves_into_a_shared_drive_is_followed_there(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    file = server.drive.add_file("a.txt", "x", top)
    team = server.drive.add_drive("Team")
    with open_source(tmp_path, server, top) as seen:
        assert seen.ids() == {file}
        server.drive.move(top, team)
        assert seen.ids() == {file}
        new = server.drive.add_file("b.txt", "x", top)
        assert seen.ids() == {file, new}


# -- Invisible folders -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "shared"),
    [
        *((how, shared) for how in ("trash", "revoke", "trash above") for shared in (False, True)),
        ("revoke the drive", True),
    ],
)
def test_an_invisible_watched_folder_is_retried_and_nothing_counts_as_deleted(
    server: DriveServer, tmp_path: Path, how: str, shared: bool
) -> None:
    drive = server.drive
    base = drive.add_drive("Team") if shared else drive.root_id
    above = drive.add_folder("above", base)
    folder = drive.add_folder("papers", above)
    file = drive.add_file("a.txt", "x", drive.add_folder("sub", folder))
    subject = {"trash above": above, "revoke the drive": base}.get(how, folder)
    with open_source(tmp_path, server, folder) as seen:
        assert seen.ids() == {file}
        (drive.trash if how.startswith("trash") else drive.revoke)(subject)
        for _ in range(2):
            with pytest.raises(SourceUnavailableError) as unseen:
                seen.source.scan(no_check)
        trashed = "the folder is in the trash"
        assert str(unseen.value) in (trashed, "the folder is not there, or not shared with these credentials")
        assert (str(unseen.value) == trashed) == how.startswith("trash")
    with open_source(tmp_path, server, folder) as seen:
        with pytest.raises(SourceUnavailableError):
            seen.source.scan(no_check)
        drive.trash(file)
        new = drive.add_file("b.txt", "x", folder)
        (drive.untrash if how.startswith("trash") else drive.grant)(subject)
        assert seen.ids() == {new}


def test_after_a_folder_was_invisible_everything_is_listed_again(server: DriveServer, top: str, tmp_path: Path) -> None:
    file = server.drive.add_file("a.txt", "x", top)
    with open_source(tmp_path, server, top) as seen:
        seen.ids()
    server.faults.add(error(404, "notFound"), "files.get", file=top)
    with open_source(tmp_path, server, top) as seen, pytest.raises(SourceUnavailableError):
        seen.source.scan(no_check)
    operations(server)
    with open_source(tmp_path, server, top) as seen:
        assert seen.ids() == {file}
    assert "files.list" in operations(server)


def test_a_folder_that_never_existed_is_a_configuration_error(server: DriveServer, tmp_path: Path) -> None:
    with open_source(tmp_path, server, "1no-such-folder") as seen, pytest.raises(ConfigurationError) as caught:
        seen.source.scan(no_check)
    assert str(caught.value) == "the folder: the folder is not there, or not shared with these credentials"


def test_a_network_outage_has_a_retry_time(server: DriveServer, top: str, tmp_path: Path) -> None:
    file = server.drive.add_file("a.txt", "x", top)
    with open_source(tmp_path, server, top, policy=IMPATIENT) as seen:
        assert seen.ids() == {file}
        server.faults.add(cut_headers(), None, times=None)
        with pytest.raises(SourceUnavailableError) as gone:
            seen.source.scan(no_check)
        assert (gone.value.retry_seconds, gone.value.ends_with) == (7.0, DriveError)
        server.faults.clear()
        operations(server)
        assert seen.ids() == {file}
        assert operations(server) == ["changes.list"]


def test_credentials_that_never_worked_end_the_run_and_others_are_retried(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    with open_source(tmp_path, server, top) as seen:
        server.faults.add(unauthorized(), None, times=None)
        with pytest.raises(CredentialsError):
            seen.source.scan(no_check)
        server.faults.clear()
        seen.ids()
        server.faults.add(unauthorized(), None, times=None)
        with pytest.raises(SourceUnavailableError, match="check the credentials") as caught:
            seen.source.scan(no_check)
        assert (caught.value.ends_with, caught.value.retry_seconds) == (CredentialsError, PERSON_SECONDS)


@pytest.mark.parametrize(
    "reason", ["accessNotConfigured", "domainPolicy", "CONSUMER_SUSPENDED", "forbidden", "failedPrecondition"]
)
def test_a_refusal_of_the_project_is_retried_and_needs_no_full_pass(
    server: DriveServer, top: str, tmp_path: Path, reason: str
) -> None:
    file = server.drive.add_file("a.txt", "x", top)
    with open_source(tmp_path, server, top) as seen:
        server.faults.add(error(403, reason), None, times=None)
        with pytest.raises(SourceUnavailableError):  # at the first start too, because it may pass
            seen.source.scan(no_check)
        server.faults.clear()
        assert seen.ids() == {file}
        server.faults.add(error(403, reason), None, times=None)
        with pytest.raises(SourceUnavailableError) as caught:
            seen.source.scan(no_check)
        assert (caught.value.ends_with, caught.value.retry_seconds) == (RefusedError, None)
        server.faults.clear()
        operations(server)
        assert seen.ids() == {file}
        assert operations(server) == ["changes.list"]


# -- Single files ------------------------------------------------------------------------------------------------------


def test_files_are_fetched_under_their_own_name_and_removed_afterwards(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    plain = server.drive.add_file("a.txt", "hello", top)
    document = server.drive.add_doc("Plan", "# Plan", top)
    fractions: list[float] = []
    with open_source(tmp_path, server, top) as seen:
        files = look(seen)
        with seen.source.fetch(files[plain], fractions.append, no_check) as content:
            assert (Path(content.path).name, Path(content.path).read_text()) == ("a.txt", "hello")
        with seen.source.fetch(files[document], fractions.append, no_check) as content:
            assert (Path(content.path).name, Path(content.path).read_text()) == ("Plan.md", "# Plan")
        assert fractions[0] == 0.0
        assert left(seen) == []
        with pytest.raises(ZeroDivisionError), seen.source.fetch(files[plain], fractions.append, no_check):
            raise ZeroDivisionError
        with pytest.raises(Stopped), seen.source.fetch(files[plain], fractions.append, StopAfter(0)):
            pass
        assert left(seen) == []


def test_the_version_is_known_without_a_request(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        operations(server)
        assert seen.source.version_now(file) == file.version
        server.drive.set_content(key, "changed")
        assert seen.source.version_now(file) == file.version
        assert operations(server) == []
        seen.ids()
        assert seen.source.version_now(file) != file.version
        server.drive.delete(key)
        seen.ids()
        with pytest.raises(FileNotFoundError):
            seen.source.version_now(file)
        with pytest.raises(FileNotFoundError):
            read(seen, file)


def test_a_file_that_is_gone_when_it_is_fetched_is_gone_at_once(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        server.drive.delete(key)
        with pytest.raises(FileNotFoundError):
            read(seen, file)
        with pytest.raises(FileNotFoundError):
            seen.source.version_now(file)
        assert look(seen) == {}


def test_a_missing_content_of_an_existing_file_is_a_retryable_failure(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        server.faults.add(error(404, "notFound"), "media")
        with pytest.raises(DownloadError) as failed:
            read(seen, file)
        assert (str(failed.value), failed.value.retryable) == ("a.txt exists, but its content was not found", True)
        assert seen.source.version_now(file) == file.version
        assert read(seen, look(seen)[key]) == "hello"
        # Drive's answer updates the mirror.
        server.faults.add(error(404, "notFound"), "media")
        server.drive.set_content(key, "changed")
        with pytest.raises(DownloadError):
            read(seen, file)
        assert seen.source.version_now(file) == f"md5:{server.drive.item(key).md5}"


def test_a_file_stays_if_drive_does_not_say_whether_it_is_gone(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top, policy=IMPATIENT) as seen:
        file = look(seen)[key]
        server.faults.add(error(404, "notFound"), "media")
        server.faults.add(cut_headers(), "files.get", times=None)
        with pytest.raises(SourceUnavailableError):
            read(seen, file)
        server.faults.clear()
        assert seen.source.version_now(file) == file.version
        assert read(seen, look(seen)[key]) == "hello"


def test_a_file_without_read_permission_is_changed_and_not_gone(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        server.drive.set_download(key, False)
        assert list(seen.reasons()) == [key]
        assert seen.source.version_now(file) != file.version


def test_a_newer_content_updates_the_known_version(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        server.drive.set_content(key, "changed meanwhile")
        with pytest.raises(DownloadError):
            read(seen, file)
        assert seen.source.version_now(file) == f"md5:{server.drive.item(key).md5}"
        assert read(seen, look(seen)[key]) == "changed meanwhile"


def test_a_refused_file_is_skipped_until_its_owner_changes_something(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key, other = (server.drive.add_file(name, "hello", top) for name in ("a.txt", "b.txt"))
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        server.faults.add(error(403, "insufficientFilePermissions"), "media", file=key)
        with pytest.raises(SkippedError) as skipped:
            read(seen, file)
        assert str(skipped.value) == "a.txt may not be read by these credentials"
        assert server.requests.count("media") == 1
        assert look(seen)[key].version == file.version
        server.drive.touch(key)
        assert look(seen)[key].version != file.version
        assert read(seen, look(seen)[other]) == "hello"


def test_a_temporary_refusal_is_a_retryable_failure(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        server.faults.add(error(403, "downloadQuotaExceeded"), "media")
        with pytest.raises(DownloadError) as failed:
            read(seen, look(seen)[key])
        assert failed.value.retryable
        assert str(failed.value).startswith("a.txt was downloaded too often lately")


def test_an_error_that_affects_all_files_is_not_a_failure_of_one(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top, policy=IMPATIENT) as seen:
        file = look(seen)[key]
        server.faults.add(cut_headers(), "media", times=None)
        with pytest.raises(SourceUnavailableError) as gone:
            read(seen, file)
        assert (gone.value.ends_with, gone.value.retry_seconds) == (DriveError, 7.0)
        server.faults.clear()
        assert read(seen, file) == "hello"
        server.grants.revoke()
        server.grants.expire_access_tokens()
        with pytest.raises(SourceUnavailableError) as revoked:
            read(seen, file)
        assert revoked.value.ends_with is CredentialsError


def test_a_damaged_content_is_a_retryable_failure(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        file = look(seen)[key]
        server.faults.add(corrupt(), "media", times=None)
        with pytest.raises(DownloadError) as failed:
            read(seen, file)
        assert failed.value.retryable
        # It is unchanged.
        assert seen.source.version_now(file) == file.version


def test_a_refused_and_then_damaged_file_keeps_its_version(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "hello", top)
    with open_source(tmp_path, server, top) as seen:
        server.faults.add(error(403, "cannotDownloadFile"), "media")
        with pytest.raises(SkippedError):
            read(seen, look(seen)[key])
        server.drive.touch(key)
        server.faults.add(corrupt(), "media", times=None)
        file = look(seen)[key]
        with pytest.raises(DownloadError):
            read(seen, file)
        assert seen.source.version_now(file) == file.version == look(seen)[key].version


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_after_random_changes_and_failures_between_requests_a_final_scan_is_right(
    server: DriveServer, tmp_path: Path, seed: int
) -> None:
    storm = RandomChanges(server, 30, seed)
    server.faults.random(0.05, seed)

    def change_now_and_then() -> None:
        server.behaviour.entries_for_descendants = storm.random.random() < 0.5
        server.behaviour.short_pages = storm.random.random() < 0.5
        while storm.random.random() < 0.6:
            storm.change()

    with open_source(tmp_path, server, storm.top) as seen:
        for _ in range(25):
            change_now_and_then()
            if storm.random.random() < 0.1:
                server.expire_change_tokens()
            seen.source.scan(change_now_and_then)
            assert set(seen.ids()) == set(storm.expected())


def test_recheck_root_notices_a_missing_folder_before_any_change_reports_it(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    with open_source(tmp_path, server, top) as seen:
        file = server.drive.add_file("a.txt", "x", top)
        assert seen.ids() == {file}
        with server.drive.lock:
            for item_id in (top, file):
                server.drive.items[item_id].access = False  # and the log of changes is late
        assert seen.ids() == {file}
        seen.source.recheck_root()
        with pytest.raises(SourceUnavailableError):
            seen.ids()
