"""The download folder: paths named like the file, removed afterwards, and emptied at the start."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import StateError
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder, file_name


def test_a_new_path_has_the_file_s_name_and_is_removed_at_the_end(tmp_path: Path) -> None:
    spool = DownloadFolder(tmp_path / "downloads")
    with spool.new_path("Report: Q1/Q2.pdf") as path:
        assert path.name == "Report: Q1_Q2.pdf"
        path.write_text("content")
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(spool.folder.iterdir()) == []


def test_a_new_path_is_removed_after_an_error(tmp_path: Path) -> None:
    spool = DownloadFolder(tmp_path / "downloads")

    def fail() -> None:
        with spool.new_path("a") as path:
            path.write_text("content")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(spool.folder.iterdir()) == []


def test_two_files_with_the_same_name_have_different_paths(tmp_path: Path) -> None:
    spool = DownloadFolder(tmp_path / "downloads")
    with spool.new_path("a.txt") as one, spool.new_path("a.txt") as other:
        assert one != other
        assert one.name == other.name == "a.txt"


def test_leftovers_of_a_killed_process_are_removed_but_not_the_targets_of_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    left = tmp_path / "downloads" / "0123"
    left.mkdir(parents=True)
    (left / "half.pdf").write_text("half")
    (tmp_path / "downloads" / "link").symlink_to(kept)
    (tmp_path / "downloads" / "file").write_text("")
    spool = DownloadFolder(tmp_path / "downloads")
    assert list(spool.folder.iterdir()) == []
    assert (kept / "file").read_text() == "kept"


def test_a_folder_that_can_t_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="file/downloads can't be created and emptied: Not a directory"):
        DownloadFolder(tmp_path / "file" / "downloads")


@pytest.mark.parametrize(
    ("name", "extension", "expected"),
    [
        ("Plan", ".md", "Plan.md"),
        ("Plan.md", ".md", "Plan.md"),
        ("PLAN.MD", ".md", "PLAN.md"),
        ("v1.2 plan", ".docx", "v1.2 plan.docx"),
        ("", ".md", "file.md"),
        ("..", "", "file.."),
        ("a\x00b\nc", "", "a_b_c"),
        ("x" * 300 + ".pdf", "", "x" * 196 + ".pdf"),
        ("é" * 300, ".md", "é" * 98 + ".md"),
    ],
)
def test_a_name_becomes_a_valid_file_name(name: str, extension: str, expected: str) -> None:
    assert file_name(name, extension) == expected


@given(st.text(), st.sampled_from(["", ".md", ".xlsx"]))
def test_a_file_can_be_created_for_any_name(name: str, extension: str) -> None:
    made = file_name(name, extension)
    assert 0 < len(made.encode()) <= 255
    assert "/" not in made
    assert "\x00" not in made
    assert made not in (".", "..")
    assert made.endswith(extension)
