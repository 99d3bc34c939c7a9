from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.sources.local_files.watcher import FolderWatcher
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_changes_wake_the_pipeline_and_ignored_files_do_not(tmp_path: Path, stop: threading.Event) -> None:
    changed = threading.Event()
    state = tmp_path / "state"
    state.mkdir()
    watcher = FolderWatcher(str(tmp_path), str(state), changed.set, stop)
    wait_until(lambda: watcher.active)
    (state / "ledger").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "x.part").write_text("x")
    assert not changed.wait(1.0)
    (tmp_path / "a.txt").write_text("x")
    assert changed.wait(60)


def test_renewing_watches_the_folder_that_is_at_the_location_now(tmp_path: Path, stop: threading.Event) -> None:
    changed = threading.Event()
    folder = tmp_path / "docs"
    folder.mkdir()
    watcher = FolderWatcher(str(folder), None, changed.set, stop)
    wait_until(lambda: watcher.active)
    shutil.rmtree(folder)
    folder.mkdir()
    watcher.renew()
    wait_until(lambda: not watcher.active)
    wait_until(lambda: watcher.active)
    changed.clear()
    (folder / "a.txt").write_text("x")
    assert changed.wait(60)


def test_missing_watchfiles_is_logged_once(
    tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.setattr("rag_pipeline.sources.local_files.watcher._RETRY_SECONDS", 0.01)
    with caplog.at_level(logging.INFO, logger="rag_pipeline"):
        watcher = FolderWatcher(str(tmp_path), None, lambda: None, stop, pipeline_id="papers")
        wait_until(lambda: "changes are found by scanning" in caplog.text)
    assert [getattr(record, "pipeline_id", None) for record in caplog.records] == ["papers"]
    assert not watcher.active
