from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.google_drive.export_formats import FOLDER, SHORTCUT
from rag_pipeline.sources.google_drive.mirror import NEVER_RECHECK, Mirror
from rag_pipeline.sources.google_drive.records import DriveFile, ShortcutTarget
from rag_pipeline.sources.google_drive.snapshot import build_snapshot, display_name, version_of

DOCUMENT = "application/vnd.google-apps.document"
TEXT = "text/plain"


def shortcut(key: str, target: str) -> DriveFile:
    return DriveFile(key, key, SHORTCUT, ("top",), version="1", shortcut_target=ShortcutTarget(target, TEXT))


def mirrored(path: Path, *files: DriveFile) -> Mirror:
    mirror = Mirror(path / "mirror.sqlite3")
    mirror.begin(DriveFile("top", "Papers", FOLDER, version="1"), (), "me", "1")
    mirror.put(files, listed=["top"])
    return mirror


def test_a_file_has_drive_s_id_name_and_link(tmp_path: Path) -> None:
    plain = DriveFile(
        "a", "a.txt", TEXT, ("top",), 12, "0cc1", "7", "2026-01-02T03:04:05.500Z", web_link="https://drive/a"
    )
    document = DriveFile("b", "a.txt", DOCUMENT, ("top",), 1024, None, "8", "2026-01-02T03:04:05Z")
    with mirrored(tmp_path, plain, document) as mirror:
        found = build_snapshot(mirror, 1000)
    assert (found.identity, found.may_exist("a"), found.unreadable) == ("top", False, {})
    a, b = found.files["a"], found.files["b"]
    # Two files with the same name are two files.
    assert (a.name, b.name) == ("a.txt", "a.txt")
    assert (a.size, a.version, a.mime_type) == (12, "md5:0cc1", TEXT)
    assert a.link == a.uri == "https://drive/a"
    assert a.modified_at == 1767323045.5
    # Drive's size of its own documents is not the size of an export.
    assert (b.size, b.version, b.link) == (0, "version:8", "https://drive.google.com/open?id=b")


def test_the_version_changes_with_the_content_but_not_with_name_date_or_permissions() -> None:
    before = DriveFile("a", "a", TEXT, ("top",), 12, "0cc1", "7", "2026-01-01T00:00:00Z")
    renamed = DriveFile("a", "b", TEXT, ("elsewhere",), 12, "0cc1", "9", "2026-02-02T00:00:00Z")
    written = DriveFile("a", "a", TEXT, ("top",), 12, "beef", "7", "2026-01-01T00:00:00Z")
    assert version_of(before) == version_of(renamed) != version_of(written)
    assert version_of(before) != version_of(before, 7) != version_of(before, 9)
    document = DriveFile("a", "a", DOCUMENT, version="7")
    assert version_of(document) != version_of(DriveFile("a", "a", DOCUMENT, version="8"))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (DriveFile("x", "x", TEXT, ("top",), 1001, "0cc1"), "is 1,001 bytes, over the limit of 1,000"),
        (DriveFile("x", "x.png", "image/png", ("top",), 5, "0cc1"), "which holds no text to read"),
        (DriveFile("x", "x", "application/vnd.google-apps.form", ("top",)), "Google form"),
        (DriveFile("x", "x", TEXT, ("top",), 5, "0cc1", can_download=False), "may not be downloaded"),
    ],
)
def test_an_unsupported_file_is_unreadable_with_reason_and_link(tmp_path: Path, file: DriveFile, reason: str) -> None:
    with mirrored(tmp_path, file) as mirror:
        found = build_snapshot(mirror, 1000)
    entry = found.unreadable["x"]
    assert reason in entry.reason
    assert (found.files, entry.is_error, entry.link) == ({}, False, "https://drive.google.com/open?id=x")


def test_one_shortcut_to_a_file_is_followed_and_the_others_name_the_file(tmp_path: Path) -> None:
    files = [DriveFile("near", "near.txt", TEXT, ("top",), 1, "0cc1"), *(shortcut(f"s{n}", "far") for n in (1, 2))]
    with mirrored(tmp_path, *files, shortcut("s3", "near"), shortcut("s4", "lost"), shortcut("s5", "dir")) as mirror:
        mirror.set_target("far", DriveFile("far", "far.txt", TEXT, ("else",), 1, "0cc2"), None, NEVER_RECHECK)
        mirror.set_target("lost", None, "a shortcut to something that is not there", 1.0)
        mirror.set_target("dir", DriveFile("dir", "dir", FOLDER, ("else",)), None, NEVER_RECHECK)
        found = build_snapshot(mirror, 1000)
    assert set(found.files) == {"near", "far"}
    assert {key: entry.reason for key, entry in found.unreadable.items()} == {
        "s2": "the same file as far.txt (a shortcut)",
        "s3": "the same file as near.txt (a shortcut)",
        "s4": "a shortcut to something that is not there",
    }


@given(st.text(max_size=300))
def test_every_name_can_be_shown(name: str) -> None:
    name_shown = display_name(DriveFile("id", name, TEXT))
    assert name_shown.encode()
    assert len(name_shown) <= 4096


def test_a_name_that_is_too_long_keeps_its_end() -> None:
    name_shown = display_name(DriveFile("id", "x" * 5000 + ".pdf", TEXT))
    assert (len(name_shown), name_shown[0], name_shown[-4:]) == (4096, "…", ".pdf")
