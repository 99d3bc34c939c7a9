from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.sources.local_files import scan_cache, source
from rag_pipeline.sources.local_files.mount_table import MountTable
from rag_pipeline.sources.local_files.scan import FolderScan, scan_folder
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.sources.local_files.watcher import FolderWatcher
from tests.sources.local_files.running import running

OLD = time.time() - 1000


class Watching(FolderWatcher):
    """A watcher that is active until the test changes it."""

    def __init__(self) -> None:
        self.active, self.watches = True, 1


class Bench:
    """A source over a folder with one old file; ``walks`` counts the scans."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = base / "docs"
        (self.folder / "sub").mkdir(parents=True)
        self.write("sub/a.txt")
        self.walks = 0
        self.table = MountTable(frozenset("/"), frozenset({self.folder.stat().st_dev}))
        self.source = LocalFilesSource(LocalFilesSettings(str(self.folder.resolve()), base / "state"))
        self.watcher = Watching()
        self.source._cache.watcher = self.watcher

        def counted(root: str, **kwargs: Any) -> FolderScan:
            self.walks += 1
            return scan_folder(root, **kwargs)

        monkeypatch.setattr(source, "scan_folder", counted)
        monkeypatch.setattr(source, "read_mount_table", lambda: self.table)

    def write(self, name: str) -> Path:
        path = self.folder / name
        path.write_text("x")
        os.utime(path, (OLD, OLD))
        return path

    def walks_of(self, scans: int = 1) -> int:
        """Return how many of these scans walk the folder."""
        before = self.walks
        for _ in range(scans):
            self.source.scan(lambda: None)
        return self.walks - before


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_an_idle_watched_folder_is_walked_once_a_minute(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.walks_of(10) == 1
    assert list(bench.source.scan(lambda: None).files) == ["sub/a.txt"]
    monkeypatch.setattr(scan_cache, "WALK_SECONDS", 0.0)
    assert bench.walks_of(3) == 3


def link(bench: Bench) -> None:
    (bench.folder / "link.txt").symlink_to("/etc/hostname")


def hard_link(bench: Bench) -> None:
    os.link(bench.folder / "sub" / "a.txt", bench.folder.parent / "another name")


def write_now(bench: Bench) -> None:
    (bench.folder / "young.txt").write_text("x")


def stop_watching(bench: Bench) -> None:
    bench.watcher.active = False


def be_on_a_share(bench: Bench) -> None:
    bench.table = MountTable(frozenset("/"), frozenset())


@pytest.mark.parametrize("change", [link, hard_link, write_now, stop_watching, be_on_a_share])
def test_every_scan_walks_if_the_kernel_may_miss_changes(bench: Bench, change: Callable[[Bench], None]) -> None:
    change(bench)
    assert bench.walks_of(3) == 3


def mount(bench: Bench) -> None:
    bench.table = bench.table._replace(points=frozenset({"/", "/mnt"}))


def replace_folder(bench: Bench) -> None:
    bench.folder.rename(bench.folder.parent / "old")
    bench.folder.mkdir()


def doubt(bench: Bench) -> None:
    bench.source.recheck_root()


@pytest.mark.parametrize("change", [mount, replace_folder, doubt])
def test_any_sign_of_a_change_makes_the_next_scan_walk(bench: Bench, change: Callable[[Bench], None]) -> None:
    bench.walks_of(2)
    change(bench)
    assert bench.walks_of(3) == 1


def test_a_scan_that_began_before_the_watch_is_not_kept(bench: Bench) -> None:
    bench.watcher.active = False
    bench.walks_of()
    bench.watcher.active = True
    assert bench.walks_of(3) == 1


@pytest.mark.slow
def test_a_scan_during_which_the_watch_failed_is_not_kept(bench: Bench) -> None:
    watcher = bench.source.watch(lambda: None, threading.Event())
    try:
        deadline = time.monotonic() + 20
        while not watcher.active and time.monotonic() < deadline:
            bench.walks_of()
        bench.walks_of()
        assert bench.walks_of(2) == 0
        watcher.renew()
        while watcher.active and time.monotonic() < deadline:
            bench.walks_of()
        while not watcher.active and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert bench.walks_of(2) == 1
    finally:
        watcher._stop.set()


@pytest.mark.slow
def test_changes_are_found_while_the_folder_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_cache, "MARGIN_SECONDS", 0.0)
    with running(tmp_path) as run:
        run.wait(lambda: run.state().get("watching") == "events")
        for number in range(4):
            run.write("a.txt", f"text {number}")
            run.wait(lambda number=number: run.store.texts().get("a.txt") == [f"text {number}"])  # type: ignore[misc]
        (run.folder / "a.txt").unlink()
        run.wait(lambda: run.state()["total_deleted"] == 1)
