from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource, is_below
from rag_pipeline.sources.source import Source, SourceUnavailableError
from tests.support.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture
def source(folder: Path) -> Source:
    return LocalFilesSource(LocalFilesSettings(str(folder), folder / "state", settle_seconds=3.0))


def ignore(*_: object) -> None:
    """Do nothing."""


def test_a_source_gives_its_location_and_its_files(source: Source, folder: Path) -> None:
    (folder / "a.txt").write_text("one")
    (folder / "state").mkdir()
    (folder / "state" / "b.txt").write_text("two")
    (folder / "link").symlink_to("nowhere")
    found = source.scan(ignore)
    assert (list(found.files), list(found.unreadable)) == (["a.txt"], ["link"])
    assert (source.kind, source.location, source.status_fields, source.settle_seconds) == (
        "local_files", str(folder), {"folder": str(folder)}, 3.0
    )  # fmt: skip


def test_a_file_is_opened_in_place_and_keeps_its_version_until_it_changes(source: Source, folder: Path) -> None:
    path = folder / "a b.txt"
    path.write_text("one")
    file = source.scan(ignore).files["a b.txt"]
    with source.fetch(file, ignore, ignore) as content:
        assert (content.path, os.pread(content.descriptor, 9, 0)) == (str(path), b"one")
    assert path.exists()
    assert source.version_now(file) == file.version
    path.write_text("another")
    assert source.version_now(file) != file.version
    path.unlink()
    with pytest.raises(FileNotFoundError):
        source.version_now(file)


def test_a_missing_folder_is_unavailable_and_a_stop_passes(source: Source, folder: Path) -> None:
    (folder / "sub").mkdir()

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        source.scan(stop)
    (folder / "sub").rmdir()
    folder.rmdir()
    with pytest.raises(SourceUnavailableError, match="the folder can't be read: No such file"):
        source.scan(ignore)


@pytest.mark.slow
def test_a_change_wakes_the_pipeline(source: Source, folder: Path) -> None:
    stop, hinted = threading.Event(), threading.Event()
    watcher = source.watch(hinted.set, stop)
    try:
        assert watcher is not None
        wait_until(lambda: watcher.active)
        (folder / "a.txt").write_text("one")
        assert hinted.wait(60)
    finally:
        stop.set()


def test_is_below_compares_whole_parts_of_paths() -> None:
    locked = frozenset({"locked", "a/b"})
    assert is_below("locked/c/d", locked)
    assert is_below("a/b/c", locked)
    assert not is_below("lockedx", locked)
    assert not is_below("locked", locked)
    assert not is_below("x", frozenset())


def test_a_file_that_becomes_a_link_after_the_scan_is_not_read(source: Source, folder: Path) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("secret")
    (folder / "a.txt").write_text("one")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("two")
    files = source.scan(ignore).files
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(secret)
    (folder / "sub").rename(folder.parent / "b.txt")
    (folder / "sub").symlink_to(folder.parent)
    (folder.parent / "b.txt").rename(folder.parent / "away")
    (folder.parent / "b.txt").write_text("secret")
    for file in files.values():
        with pytest.raises(FileNotFoundError), source.fetch(file, ignore, ignore):
            pytest.fail("it was opened")
