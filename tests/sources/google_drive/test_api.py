"""The Drive API client, tested with a fake server that checks every request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.errors import (
    CredentialsError,
    DownloadError,
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
)
from rag_pipeline.sources.google_drive.export_formats import DOCX, MARKDOWN, PDF
from rag_pipeline.sources.google_drive.transport.client import DriveHttpClient
from rag_pipeline.sources.google_drive.transport.error_reasons import UNSUPPORTED_CONVERSION
from tests.drive import (
    DriveServer,
    Generated,
    cut_body,
    cut_headers,
    error,
    server_error,
    slow,
    stall,
    too_many,
    truncate,
    unauthorized,
)
from tests.drive.faults import Fault
from tests.sources.google_drive.support import (
    QUICK,
    api_for,
    download,
    export,
    ignore_progress,
    is_empty_folder,
    no_check,
)
from tests.support.waiting import wait_until

MIB = 1 << 20


# -- Files and folders ---------------------------------------------------------------------------------------------


def test_one_query_lists_several_folders_and_marks_trashed_items() -> None:
    with DriveServer() as server:
        one, other = server.drive.add_folder("one"), server.drive.add_folder("it's other")
        kept = {server.drive.add_file("a.txt", "a", one), server.drive.add_file("b.txt", "b", other)}
        trashed = server.drive.add_file("c.txt", "c", one)
        server.drive.trash(trashed)
        page = api_for(server).children([one, other], None, None)
        assert {file.id: file.explicitly_trashed for file in page.files} == {
            **dict.fromkeys(kept, False),
            trashed: True,
        }
        assert (page.next_page_token, page.incomplete) == (None, False)
        assert server.requests.count("files.list") == 1


def test_a_long_listing_has_pages_of_a_thousand() -> None:
    with DriveServer() as server:
        folder = server.drive.add_folder("many")
        made = {server.drive.add_file(f"{number}.txt", "x", folder) for number in range(1001)}
        api = api_for(server)
        first = api.children([folder], None, None)
        second = api.children([folder], first.next_page_token, None)
        assert (len(first.files), len(second.files), second.next_page_token) == (1000, 1, None)
        assert {file.id for file in first.files + second.files} == made


def test_a_hundred_folders_fit_into_one_query_and_too_many_are_an_error() -> None:
    with DriveServer() as server:
        folders = [server.drive.add_folder(str(number)) for number in range(100)]
        file = server.drive.add_file("a.txt", "a", folders[99])
        api = api_for(server)
        assert [found.id for found in api.children(folders, None, None).files] == [file]
        for count in (0, 500):
            with pytest.raises(ValueError, match=f"{count} folders in one query"):
                api.children((folders * 5)[:count], None, None)


def test_items_of_shared_drives_are_included_with_and_without_a_drive_id() -> None:
    with DriveServer() as server:
        drive = server.drive.add_drive("Team")
        file = server.drive.add_file("a.txt", "a", drive)
        api = api_for(server)
        for drive_id in (drive, None):
            (found,) = api.children([drive], None, drive_id).files
            assert (found.id, found.drive_id) == (file, drive)
        assert api.drive(drive) == "Team"
        with pytest.raises(FileUnavailableError):
            api.drive("nothing")


def test_a_missing_folder_is_distinguished_from_an_empty_one() -> None:
    with DriveServer() as server:
        folder = server.drive.add_folder("a")
        api = api_for(server)
        assert api.children([folder], None, None).files == ()
        server.drive.delete(folder)
        with pytest.raises(FileUnavailableError) as raised:
            api.children([folder], None, None)
        assert raised.value.gone


def test_an_expired_page_token_of_a_listing_is_its_own_error() -> None:
    with DriveServer() as server:
        folder = server.drive.add_folder("many")
        for number in range(1001):
            server.drive.add_file(f"{number}.txt", "x", folder)
        api = api_for(server)
        token = api.children([folder], None, None).next_page_token
        server.expire_list_tokens()
        with pytest.raises(PageTokenGoneError):
            api.children([folder], token, None)


def test_an_incomplete_search_is_reported() -> None:
    with DriveServer() as server:
        folder = server.drive.add_folder("a")
        server.behaviour.incomplete_searches = 1
        api = api_for(server)
        assert [api.children([folder], None, None).incomplete for _ in range(2)] == [True, False]


def test_exactly_the_needed_fields_are_requested() -> None:
    with DriveServer() as server:
        target = server.drive.add_file("a.txt", "hello", can_download=False)
        shortcut = server.drive.add_shortcut("s", target)
        api = api_for(server)
        item, file = server.drive.item(target), api.file(target)
        assert (file.name, file.size, file.md5, file.can_download) == ("a.txt", 5, item.md5, False)
        assert (file.version, file.mime_type, file.parents) == (
            str(item.version),
            "text/plain",
            (server.drive.root_id,),
        )
        assert file.web_link
        assert file.head_revision
        assert api.file(shortcut).shortcut_target == (target, "text/plain")
        assert api.file("root").id == server.drive.root_id
        # The export links of a Doc are longer than all other fields together.
        assert "exportLinks" not in "".join(request.query.get("fields", "") for request in server.requests)


@pytest.mark.parametrize("reason", ["insufficientFilePermissions", "appNotAuthorizedToFile"])
def test_a_403_of_one_file_is_not_retried(reason: str) -> None:
    with DriveServer() as server:
        file, other = server.drive.add_file("a.txt", "a"), server.drive.add_file("b.txt", "b")
        server.faults.add(error(403, reason), file=file, times=None)
        api = api_for(server)
        with pytest.raises(FileUnavailableError) as raised:
            api.file(file)
        assert not raised.value.gone
        assert api.file(other).name == "b.txt"
        assert server.requests.count("files.get") == 2


# -- Changes -------------------------------------------------------------------------------------------------------


def test_changes_since_a_token_are_returned() -> None:
    with DriveServer() as server:
        gone, changed = server.drive.add_file("a.txt", "a"), server.drive.add_file("b.txt", "b")
        api = api_for(server)
        token = api.start_page_token(None)
        assert api.changes(token, None).changes == ()
        server.drive.delete(gone)
        server.drive.set_content(changed, "new")
        page = api.changes(token, None)
        assert {change.file_id: change.removed for change in page.changes} == {gone: True, changed: False}
        (file,) = [change.file for change in page.changes if change.file is not None]
        assert file == api.file(changed)
        assert page.next_page_token is None
        assert page.new_start_page_token is not None
        assert api.changes(page.new_start_page_token, None).changes == ()


def test_a_shared_drive_has_its_own_changes_and_its_loss_is_reported() -> None:
    with DriveServer() as server:
        drive = server.drive.add_drive("Team")
        api = api_for(server)
        token, of_all = api.start_page_token(drive), api.start_page_token(None)
        server.drive.add_file("mine.txt", "a")
        file = server.drive.add_file("a.txt", "a", drive)
        assert {change.file_id for change in api.changes(token, drive).changes} == {file}
        server.drive.revoke(drive)
        with pytest.raises(FileUnavailableError) as raised:
            api.changes(token, drive)
        assert raised.value.gone
        assert drive in {change.file_id for change in api.changes(of_all, None).changes if change.removed}


@pytest.mark.parametrize("status", [400, 410])
def test_an_expired_page_token_is_not_retried(status: int) -> None:
    with DriveServer() as server:
        server.behaviour.gone_status = status
        api = api_for(server)
        token = api.start_page_token(None)
        server.expire_change_tokens()
        with pytest.raises(PageTokenGoneError):
            api.changes(token, None)
        assert server.requests.count("changes.list") == 1


# -- Limits and failures -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        too_many(),
        too_many("0"),
        too_many("Wed, 21 Oct 2015 07:28:00 GMT"),
        error(403, "rateLimitExceeded"),
        error(403, "userRateLimitExceeded"),
        server_error(500),
        server_error(502),
        server_error(503, "0"),
        server_error(504),
        unauthorized(),
        cut_headers(),
        cut_body(3),
        slow(0.05),
    ],
)
def test_temporary_failures_are_retried(fault: Fault) -> None:
    with DriveServer() as server:
        server.faults.add(fault, "changes.getStartPageToken", times=2 if "401" not in fault.name else 1)
        assert api_for(server).start_page_token(None)


def test_a_lasting_rate_limit_ends_with_the_time_to_wait() -> None:
    with DriveServer() as server:
        server.faults.add(error(403, "userRateLimitExceeded"), times=None, operation="changes.getStartPageToken")
        with pytest.raises(
            DriveUnavailableError, match=r"^the state of Google Drive: answered 403 \(userRateLimit"
        ) as raised:
            api_for(server).start_page_token(None)
        assert raised.value.retry_seconds == QUICK.later_seconds
        assert server.requests.count("changes.getStartPageToken") == QUICK.attempts


def test_a_daily_limit_is_not_retried() -> None:
    with DriveServer() as server:
        server.faults.add(error(403, "dailyLimitExceeded"), "changes.getStartPageToken")
        with pytest.raises(DriveUnavailableError, match="limit for today") as raised:
            api_for(server).start_page_token(None)
        assert raised.value.retry_seconds == QUICK.daily_seconds
        assert server.requests.count("changes.getStartPageToken") == 1


def test_without_a_network_drive_is_unavailable_until_it_returns() -> None:
    with DriveServer() as server:
        api = api_for(server)
        assert api.start_page_token(None)
        server.faults.add(cut_headers(), times=QUICK.attempts)
        with pytest.raises(DriveUnavailableError):
            api.start_page_token(None)
        assert api.start_page_token(None)
    with pytest.raises(DriveUnavailableError, match="Connection refused"):
        api.start_page_token(None)


def test_a_401_with_a_fresh_token_is_an_error_only_after_all_attempts() -> None:
    with DriveServer() as server:
        api = api_for(server)
        server.faults.add(unauthorized(), "changes.getStartPageToken", times=3)
        assert api.start_page_token(None)
        server.faults.add(unauthorized(), "changes.getStartPageToken", times=None)
        with pytest.raises(CredentialsError, match="rejects the access token"):
            api.start_page_token(None)
        assert server.requests.count("changes.getStartPageToken") == 4 + 2 * QUICK.attempts


def test_permanent_errors_have_one_line() -> None:
    with DriveServer() as server:
        api = api_for(server)
        api.start_page_token(None)
        server.grants.revoke()
        with pytest.raises(CredentialsError, match="invalid_grant"):
            api.start_page_token(None)


def test_a_stop_ends_a_wait_at_once() -> None:
    with DriveServer() as server:
        server.faults.add(too_many("100"), "changes.getStartPageToken", times=None)
        stop = threading.Event()
        api = api_for(server, replace(QUICK, total_seconds=10_000), stop)
        ended: list[BaseException] = []

        def ask() -> None:
            try:
                api.start_page_token(None)
            except Stopped as stopped:
                ended.append(stopped)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: server.requests.count("changes.getStartPageToken") == 1)
        stop.set()
        thread.join(30)
        assert len(ended) == 1


def test_random_faults_change_no_answer(tmp_path: Path) -> None:
    with DriveServer() as server:
        folder = server.drive.add_folder("a")
        files = [server.drive.add_file(f"{number}.txt", f"text {number} " * 500, folder) for number in range(20)]
        docs = [server.drive.add_doc(f"doc {number}", f"words {number} " * 500, folder) for number in range(5)]
        server.faults.random(0.3, seed=7)
        api = api_for(server, replace(QUICK, attempts=30, server_attempts=30))
        found = {file.id: file for file in api.children([folder], None, None).files}
        assert set(found) == {*files, *docs}
        for number, file_id in enumerate(files):
            api.download(found[file_id], tmp_path / file_id, ignore_progress, no_check)
            assert (tmp_path / file_id).read_text() == f"text {number} " * 500
        for number, file_id in enumerate(docs):
            api.export(found[file_id], MARKDOWN.mime_type, tmp_path / file_id, ignore_progress, no_check)
            assert f"words {number} " * 500 in (tmp_path / file_id).read_text() + " "
        assert server.faults.random_hits > 5


# -- Downloads -----------------------------------------------------------------------------------------------------


def test_a_download_takes_one_request(tmp_path: Path) -> None:
    with DriveServer() as server:
        file = server.drive.add_file("a.txt", Generated(MIB))
        download(server, file, tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == server.drive.item(file).content_bytes()
        assert server.requests.operations() == {"token": 1, "files.get": 1, "media": 1}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"can_download": False}, "may not be downloaded by these credentials"),
        ({"abusive": True}, "was marked by Google as malware or spam, and is not downloaded"),
    ],
)
def test_a_refused_download_is_an_error_of_the_file(tmp_path: Path, options: dict[str, bool], says: str) -> None:
    with DriveServer() as server:
        file = server.drive.add_file("a.txt", "a", **options)  # type: ignore[arg-type]
        with pytest.raises(FileUnavailableError, match=says):
            download(server, file, tmp_path / "a")
        assert server.requests.count("media") == 1
        assert is_empty_folder(tmp_path)


def test_a_file_that_has_disappeared_is_reported(tmp_path: Path) -> None:
    with DriveServer() as server:
        api = api_for(server)
        file = api.file(server.drive.add_file("a.txt", "a"))
        server.drive.delete(file.id)
        with pytest.raises(FileUnavailableError) as raised:
            api.download(file, tmp_path / "a", ignore_progress, no_check)
        assert raised.value.gone


def test_a_file_that_has_changed_is_reported(tmp_path: Path) -> None:
    with DriveServer() as server:
        api = api_for(server)
        file = api.file(server.drive.add_file("a.txt", "aaaa"))
        server.drive.set_content(file.id, "bbbb")
        with pytest.raises(DownloadError, match=r"^a.txt: changed during the download$"):
            api.download(file, tmp_path / "a", ignore_progress, no_check)


def test_a_server_error_for_one_file_is_a_download_error(tmp_path: Path) -> None:
    with DriveServer() as server:
        file, other = server.drive.add_file("a.txt", "a"), server.drive.add_file("b.txt", "b")
        server.faults.add(server_error(500), "media", file=file, times=None)
        with pytest.raises(DownloadError, match=r"^a.txt: answered 500"):
            download(server, file, tmp_path / "a")
        download(server, other, tmp_path / "b")


def test_a_rate_limit_during_a_download_is_not_an_error_of_the_file(tmp_path: Path) -> None:
    with DriveServer() as server:
        file = server.drive.add_file("a.txt", "a")
        server.faults.add(too_many(), "media", times=None)
        with pytest.raises(DriveUnavailableError):
            download(server, file, tmp_path / "a")
        assert is_empty_folder(tmp_path)


# -- Exports -------------------------------------------------------------------------------------------------------


def test_a_doc_is_exported_as_markdown_with_one_request(tmp_path: Path) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "# Plan\n\ntext")
        export(server, doc, MARKDOWN.mime_type, tmp_path / "a")
        assert "# Plan" in (tmp_path / "a").read_text()
        assert server.requests.operations() == {"token": 1, "files.get": 1, "files.export": 1}


@pytest.mark.parametrize("redirected", [False, True])
def test_an_export_over_the_limit_uses_the_export_link(tmp_path: Path, redirected: bool) -> None:
    with DriveServer() as server:
        server.behaviour.redirect_exports = redirected
        large = Generated(12 * MIB)
        doc = server.drive.add_doc("plan", "text", exports={MARKDOWN.mime_type: large})
        server.faults.add(cut_body(MIB), "export_link")
        export(server, doc, MARKDOWN.mime_type, tmp_path / "a")
        assert (tmp_path / "a").stat().st_size == large.size
        assert server.requests.count("files.export") == 1
        asked = [request.query["fields"] for request in server.requests if request.operation == "files.get"]
        assert asked[1:] == ["exportLinks"]


def test_an_export_that_fails_with_a_500_uses_the_export_link(tmp_path: Path) -> None:
    with DriveServer() as server:
        slides = server.drive.add_doc("talk", "text", kind="presentation")
        server.faults.add(server_error(500), "files.export", times=None)
        export(server, slides, PDF.mime_type, tmp_path / "a")
        assert (tmp_path / "a").stat().st_size > 0
        assert server.requests.count("files.export") == 3


def test_an_export_that_fails_both_ways_is_a_download_error(tmp_path: Path) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "text")
        server.faults.add(server_error(500), "files.export", times=None)
        server.faults.add(server_error(500), "export_link", times=None)
        with pytest.raises(DownloadError, match=r"^plan: answered 500"):
            export(server, doc, MARKDOWN.mime_type, tmp_path / "a")
        assert is_empty_folder(tmp_path)


@pytest.mark.parametrize("fault", [cut_headers(), cut_body(2), too_many(), server_error(503), unauthorized()])
def test_an_incomplete_export_is_never_returned(tmp_path: Path, fault: Fault) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "text", exports={MARKDOWN.mime_type: "some words"})
        server.faults.add(fault, "files.export")
        export(server, doc, MARKDOWN.mime_type, tmp_path / "a")
        assert (tmp_path / "a").read_text() == "some words"


def test_an_unsupported_format_is_distinguished_from_a_missing_doc(tmp_path: Path) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "text")
        with pytest.raises(FileUnavailableError) as raised:
            export(server, doc, "text/x-odd", tmp_path / "a")
        assert (raised.value.gone, raised.value.code) == (False, UNSUPPORTED_CONVERSION)


def test_an_export_over_the_pipeline_s_own_limit_is_an_error(tmp_path: Path) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "text", exports={DOCX.mime_type: Generated(2 * MIB)})
        api = api_for(server)
        with pytest.raises(FileUnavailableError, match="is over the limit of 1,048,576 bytes"):
            api.export(api.file(doc), DOCX.mime_type, tmp_path / "a", ignore_progress, no_check, limit_bytes=MIB)
        assert is_empty_folder(tmp_path)


def test_a_stalled_answer_ends_with_the_read_timeout() -> None:
    with DriveServer() as server:
        server.faults.add(stall(3), "changes.getStartPageToken")
        assert api_for(server, replace(QUICK, read_timeout_seconds=0.3)).start_page_token(None)


@pytest.mark.parametrize("body", [b"[]", b"null", b"<html>", b"[" * 100_000, b'{"id": "a", "name": "a"}', b"\xff"])
def test_an_unreadable_answer_is_retried(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with DriveServer() as server:
        api = api_for(server)
        good, bodies = DriveHttpClient.body, [body, body]
        monkeypatch.setattr(DriveHttpClient, "body", lambda *args: bodies.pop() if bodies else good(*args))
        assert api.file("root").id == server.drive.root_id
        bodies += [body] * QUICK.attempts
        with pytest.raises(DriveUnavailableError, match="answered with unreadable content"):
            api.file("root")


@pytest.mark.slow
def test_the_check_is_called_while_a_call_waits() -> None:
    def check() -> None:
        raise Stopped

    for fault in (too_many("100"), server_error(503, "100")):
        with DriveServer() as server:
            server.faults.add(fault, times=None)
            api = api_for(server, replace(QUICK, total_seconds=10_000))
            asked: list[Callable[[], object]] = [
                lambda api=api: api.start_page_token(None, check),  # type: ignore[misc]
                lambda api=api: api.changes("1", None, check),  # type: ignore[misc]
                lambda api=api: api.children(["a"], None, None, check),  # type: ignore[misc]
                lambda api=api: api.file("a", check),  # type: ignore[misc]
                lambda api=api: api.drive("a", check),  # type: ignore[misc]
            ]
            for ask in asked:
                with pytest.raises(Stopped):
                    ask()


def test_a_truncated_answer_is_not_accepted() -> None:
    with DriveServer() as server:
        server.faults.add(truncate(3), "changes.getStartPageToken")
        assert api_for(server).start_page_token(None)
