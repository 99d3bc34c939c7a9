"""Which versions of a table are on disk, and which are dropped after a reboot."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.lance import durable_table
from rag_pipeline.ingest.store.lance.durable_table import MARKER, DurableTable, Marker
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from tests.ingest.store.power_loss import Disk
from tests.ingest.store.samples import WIDTH, chunks, file, vectors


def test_an_interrupted_marker_write_keeps_the_previous_marker(tmp_path: Path) -> None:
    table = DurableTable(tmp_path, "t")
    assert table._read() is None
    for version in (1, 2, 3):
        table._write(Marker(version, "boot"))
    assert table._read() == Marker(3, "boot")
    content = (tmp_path / MARKER).read_bytes()
    (tmp_path / MARKER).write_bytes(content.replace(b"3 boot", b"9 boot"))
    assert table._read() == Marker(2, "boot")
    (tmp_path / MARKER).write_bytes(b"\xff\0 no marker")
    assert table._read() is None


def test_the_boot_id_is_read_or_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert durable_table.boot_id() == durable_table.boot_id()
    monkeypatch.setattr(durable_table, "_BOOT_ID", tmp_path / "none")
    assert durable_table.boot_id() == "unknown"


def test_waiting_writers_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    store.replace("p", file("a"), [(chunks("a"), vectors(1))])
    disk, held = Disk(monkeypatch), threading.Event()

    def hold() -> None:
        held.wait(60)

    disk.before_sync = hold
    threads = [
        threading.Thread(target=store.replace, args=("p", file(f"f{n}"), [(chunks("x"), vectors(1))])) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    nothing = threading.Event()
    for _ in range(6000):
        if nothing.wait(0.01) or len(store.files("p")) == 9:
            break
    held.set()
    for thread in threads:
        thread.join(60)
    assert disk.syncs <= 2 * 5 + 8, "two rounds, not eight: files, newest manifest, folders, marker"
    store.close()


def test_after_a_failed_sync_the_next_sync_includes_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    store.replace("p", file("a"), [(chunks("a"), vectors(1))])

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            store.replace("p", file("b"), [(chunks("b"), vectors(1))])
    store.replace("p", file("b"), [(chunks("b"), vectors(1))])
    marker = store._durable._read()
    assert marker is not None
    assert marker.version == store._table.version
    store.close()
