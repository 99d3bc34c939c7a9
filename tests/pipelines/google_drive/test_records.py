"""What Drive tells, read: whole pages, and pages that are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.pipelines.google_drive.records import (
    Change,
    DriveFile,
    ShortcutTarget,
    read_changes_page,
    read_file,
    read_files_page,
)

LEAST = {"id": "f1", "name": "a.txt", "mimeType": "text/plain"}
WHOLE = {
    **LEAST,
    "parents": ["p1", "p2"],
    "size": "12",
    "md5Checksum": "0f",
    "version": "7",
    "modifiedTime": "2025-01-02T03:04:05.000Z",
    "trashed": True,
    "explicitlyTrashed": True,
    "driveId": "d1",
    "webViewLink": "https://drive.google.com/file/d/f1/view",
    "shortcutDetails": {"targetId": "t1", "targetMimeType": "text/csv"},
    "capabilities": {"canDownload": False},
    "exportLinks": {"text/csv": "https://docs.google.com/x"},
    "headRevisionId": "r1",
}


def test_a_file_is_read_with_all_that_is_told_of_it() -> None:
    assert read_file(WHOLE) == DriveFile(
        id="f1",
        name="a.txt",
        mime_type="text/plain",
        parents=("p1", "p2"),
        size=12,
        md5="0f",
        version="7",
        modified_time="2025-01-02T03:04:05.000Z",
        trashed=True,
        explicitly_trashed=True,
        drive_id="d1",
        web_link="https://drive.google.com/file/d/f1/view",
        shortcut_target=ShortcutTarget("t1", "text/csv"),
        can_download=False,
        export_links={"text/csv": "https://docs.google.com/x"},
        head_revision="r1",
    )


def test_what_is_not_told_of_a_file_is_unknown() -> None:
    assert read_file(LEAST) == DriveFile("f1", "a.txt", "text/plain")


def test_a_file_without_a_name_has_one_to_show() -> None:
    assert read_file({**LEAST, "name": ""}).name == "Untitled"


@pytest.mark.parametrize("spoiled", [{"id": ""}, {"id": 1}, {"mimeType": None}, {"size": "many"}])
def test_a_file_whose_identity_is_malformed_is_refused(spoiled: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_file({**LEAST, **spoiled})
    with pytest.raises(KeyError):
        read_file({"id": "f1"})


def test_a_page_of_files_says_whether_there_is_another_and_whether_drive_has_looked_everywhere() -> None:
    page = read_files_page({"files": [LEAST], "nextPageToken": "n", "incompleteSearch": True})
    assert (len(page.files), page.next_page_token, page.incomplete) == (1, "n", True)
    assert read_files_page({}) == ((), None, False)


def test_changes_are_files_that_are_new_or_gone_and_drives_that_are_lost() -> None:
    page = read_changes_page(
        {
            "newStartPageToken": "9",
            "changes": [
                {"changeType": "file", "fileId": "f1", "removed": False, "file": LEAST},
                {"changeType": "file", "fileId": "f2", "removed": True},
                {"changeType": "file", "fileId": "f3", "removed": False},
                {"changeType": "drive", "driveId": "d1", "removed": True},
                {"changeType": "drive", "driveId": "d2", "removed": False},
            ],
        }
    )
    assert page.changes == (
        Change("f1", False, read_file(LEAST)),
        Change("f2", True, None),
        Change("f3", True, None),
        Change("d1", True, None),
    )
    assert (page.next_page_token, page.new_start_page_token) == (None, "9")


def test_a_page_of_changes_without_a_way_on_is_refused() -> None:
    with pytest.raises(ValueError, match="token"):
        read_changes_page({"changes": []})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*WHOLE, "files", "changes", "file"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*WHOLE, "files", "changes", "nextPageToken"]), _json))
def test_what_is_no_answer_of_drive_s_raises_what_is_announced_and_nothing_else(data: dict[str, Any]) -> None:
    for read in (read_file, read_files_page, read_changes_page):
        try:
            read(data)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
