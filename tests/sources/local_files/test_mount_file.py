from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rag_pipeline.sources.local_files.mount_file import MountFile


def test_mount_points_are_kept_per_location(tmp_path: Path) -> None:
    assert MountFile(tmp_path, "/docs", None).read() == frozenset()
    MountFile(tmp_path, "/docs", None).write(frozenset({"a", "b/é"}))
    assert MountFile(tmp_path, "/docs", None).read() == {"a", "b/é"}
    assert MountFile(tmp_path, "/other", None).read() == frozenset()


def test_no_file_is_written_without_mount_points(tmp_path: Path) -> None:
    MountFile(tmp_path, "/docs", None).write(frozenset())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"[", b"\xff", b"{}", b"[1]"])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, damage: bytes) -> None:
    MountFile(tmp_path, "/docs", None).write(frozenset("a"))
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert MountFile(tmp_path, "/docs", None).read() == frozenset()


def test_an_unwritable_folder_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = MountFile(tmp_path / "missing", "/docs", "papers")
    with caplog.at_level(logging.WARNING):
        file.write(frozenset("a"))
        file.write(frozenset("a"))
    assert [getattr(record, "pipeline_id", None) for record in caplog.records] == ["papers"]
