"""Parsing of Drive's JSON: valid and malformed pages."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.google_drive.records import (
    DriveChange,
    DriveFile,
    ShortcutTarget,
    read_changes_page,
    read_file,
    read_files_page,
    read_start_page_token,
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


def test_all_fields_of_a_file_are_read() -> None:
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


def test_missing_fields_are_unknown() -> None:
    assert read_file(LEAST) == DriveFile("f1", "a.txt", "text/plain")


def test_a_file_without_a_name_is_untitled() -> None:
    assert read_file({**LEAST, "name": ""}).name == "Untitled"


@pytest.mark.parametrize(
    "spoiled",
    [
        *({"id": ""}, {"id": 1}, {"name": None}, {"name": {"a": 1}}, {"mimeType": None}),
        *({"size": "many"}, {"size": 12}, {"size": "-1"}, {"size": str(1 << 63)}, {"version": "9" * 20}),
        *({"parents": "p1"}, {"parents": [{"id": "p1"}]}, {"md5Checksum": {"a": 1}}, {"modifiedTime": 7}),
        *({"driveId": []}, {"trashed": "false"}, {"capabilities": []}, {"capabilities": {"canDownload": "no"}}),
        *({"shortcutDetails": "t1"}, {"shortcutDetails": {"targetId": 1}}, {"exportLinks": {"text/csv": None}}),
    ],
)
def test_a_malformed_file_is_rejected(spoiled: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_file({**LEAST, **spoiled})
    with pytest.raises(KeyError):
        read_file({"id": "f1"})


def test_a_page_of_files_has_the_next_token_and_whether_the_search_was_complete() -> None:
    page = read_files_page({"files": [LEAST], "nextPageToken": "n", "incompleteSearch": True})
    assert (len(page.files), page.next_page_token, page.incomplete) == (1, "n", True)
    assert read_files_page({"files": []}) == ((), None, False)


def test_a_lone_surrogate_is_replaced() -> None:
    read = read_file({**WHOLE, "name": "x\ud83d.txt", "webViewLink": "\ude00", "parents": ["p\udfff"]})
    assert (read.name, read.web_link, read.parents) == ("x\ufffd.txt", "\ufffd", ("p\ufffd",))
    assert read_file({**LEAST, "name": "\U0001f600"}).name == "\U0001f600"


def test_the_largest_number_is_read() -> None:
    assert read_file({**LEAST, "size": str((1 << 63) - 1)}).size == (1 << 63) - 1


@pytest.mark.parametrize(
    "spoiled",
    [
        *({}, {"files": None}, {"files": {}}, {"files": [None]}, {"files": ["f1"]}),
        *({"files": [], "nextPageToken": 5}, {"files": [], "nextPageToken": ["a"]}),
        {"files": [], "incompleteSearch": "no"},
    ],
)
def test_a_malformed_page_of_files_is_rejected(spoiled: dict[str, Any]) -> None:
    # As an empty page it would mean that all files are gone.
    with pytest.raises((KeyError, TypeError)):
        read_files_page(spoiled)


@pytest.mark.parametrize(
    "spoiled",
    [
        *({"changes": None}, {"changes": "abc"}, {"changes": [None]}, {"changes": [{"fileId": None}]}),
        *({"changes": [{"fileId": "f1", "file": "f1"}]}, {"changes": [{"fileId": "f1", "removed": "no"}]}),
        *({"newStartPageToken": 5}, {"newStartPageToken": ["a"]}),
    ],
)
def test_a_malformed_page_of_changes_is_rejected(spoiled: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        read_changes_page({"changes": [], "newStartPageToken": "9", **spoiled})
    with pytest.raises(KeyError):
        read_changes_page({"newStartPageToken": "9"})


def test_changes_report_new_and_removed_files_and_lost_drives() -> None:
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
        DriveChange("f1", False, read_file(LEAST)),
        DriveChange("f2", True, None),
        DriveChange("f3", True, None),
        DriveChange("d1", True, None),
    )
    assert (page.next_page_token, page.new_start_page_token) == (None, "9")


def test_a_page_of_changes_without_a_next_token_is_rejected() -> None:
    with pytest.raises(ValueError, match="token"):
        read_changes_page({"changes": []})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()) | st.integers().map(str),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*WHOLE, "files", "changes", "file"]), inner),
    max_leaves=10,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([*WHOLE, "files", "changes", "nextPageToken"]), _json))
def test_malformed_answers_raise_only_the_documented_errors(data: dict[str, Any]) -> None:
    for read in (read_file, read_files_page, read_changes_page):
        try:
            made = read(data)
        except (ValueError, KeyError, TypeError):
            continue
        assert json.dumps(made, default=asdict, ensure_ascii=False).encode()  # it is valid UTF-8


@pytest.mark.parametrize("token", [None, "", 7, ["1"], {}])
def test_a_start_page_token_is_a_text(token: object) -> None:
    assert read_start_page_token({"startPageToken": "7"}) == "7"
    with pytest.raises((TypeError, ValueError)):
        read_start_page_token({"startPageToken": token})
