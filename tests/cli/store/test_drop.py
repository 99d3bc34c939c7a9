"""Removing a pipeline, and nothing of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.cli.store.drop import drop
from rag_pipeline.cli.store.ledger_reader import read_ledger
from rag_pipeline.errors import StateError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.lance import maintenance
from rag_pipeline.sources.google_drive.state_paths import downloads_path, mirror_path
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.state_folder import StateFolder
from tests.cli.store.kept import Kept

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "READER_SECONDS", 0.2)


@pytest.fixture
def two(kept: Kept) -> Kept:
    kept.follow("papers", kept.folder("papers", a="heron"))
    kept.follow("diary", kept.folder("diary", b="zzyzx"))
    for name in ("papers", "diary"):
        downloads_path(kept.state, name).mkdir()
        (downloads_path(kept.state, name) / "half").write_text("zzyzx")
        for end in ("", "-wal", "-shm"):
            mirror_path(kept.state, name).with_name(mirror_path(kept.state, name).name + end).write_text("")
    with Ledger(kept.state, "diary") as ledger:
        ledger.remove("gone", "gone")
    return kept


def drop_pipeline(kept: Kept, pipeline_id: str) -> None:
    drop(IngestSettings(), kept.state, "--state-dir", pipeline_id)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith(("drive-", "downloads-"))}


def test_store_ledger_mirror_and_downloads_are_removed(two: Kept) -> None:
    drop_pipeline(two, "diary")
    store = two.open()
    assert (list(store.files("papers")), store.files("diary")) == (["a.txt"], {})
    store.close()
    assert list(read_ledger(two.state)) == ["papers"]
    with Ledger(two.state, "diary") as ledger:
        assert (ledger.rows(), ledger.source(), ledger.find_unreported(None, {})) == ({}, None, {})
    mirror = mirror_path(two.state, "papers").name
    assert names_in(two.state) == {downloads_path(two.state, "papers").name, mirror, f"{mirror}-wal", f"{mirror}-shm"}


def test_an_interrupted_drop_can_be_repeated(two: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rag_pipeline.cli.store.drop._drop_state", killed)
        with pytest.raises(KeyboardInterrupt):
            drop_pipeline(two, "diary")
    assert "diary" in read_ledger(two.state)
    drop_pipeline(two, "diary")
    assert "diary" not in read_ledger(two.state)


def test_nothing_is_removed_while_a_process_has_locked_the_folder(two: Kept) -> None:
    with StateFolder(two.state), pytest.raises(StateError, match="is in use by process"):
        drop_pipeline(two, "diary")
    store = two.open()
    assert list(store.files("diary")) == ["b.txt"]
    store.close()
    assert "diary" in read_ledger(two.state)
