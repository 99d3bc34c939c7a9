"""Runs ``rag-pipeline store check`` as a process: each difference is one line."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize

import numpy as np
import pytest

from rag_pipeline.cli.store import check
from rag_pipeline.errors import ExitCode
from rag_pipeline.ingest.embed.model_files import FILES
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.factory import open_existing
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, MaintainableStore, SourceFile, StoredPipeline
from rag_pipeline.sources.ledger import Ledger, LedgerRow, Outcome, SourceRecord
from rag_pipeline.sources.state_folder import StateFolder
from tests.cli.store.kept import DIMENSIONS, ENV, MODEL_ID, Kept, said
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import command, process
from tests.support.unicode_forms import FORMS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def api() -> Iterator[Endpoint]:
    with endpoint() as api:
        yield api


@pytest.fixture
def papers(kept: Kept) -> Path:
    folder = kept.folder("papers", a="heron reeds", b="otter")
    kept.follow("papers", folder)
    return folder


def differences(kept: Kept) -> list[str]:
    """Run a check that finds differences; return their lines."""
    code, out, err = said(kept.run("check"))
    *lines, last = out.splitlines()
    assert (code, err) == (ExitCode.DISAGREEMENT, "")
    assert last.endswith(f": {len(lines)} difference{'' if len(lines) == 1 else 's'}")
    return lines


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_check_without_differences_writes_nothing(kept: Kept, papers: Path) -> None:
    kept.run("check")  # SQLite creates its two helper files for readers, too
    before = contents(kept.state)
    assert said(kept.run("check")) == (ExitCode.OK, "1 pipeline, 2 files, 3 chunks: all agrees\n", "")
    assert contents(kept.state) == before


def test_stored_but_not_in_the_ledger(kept: Kept, papers: Path) -> None:
    with Ledger(kept.state, "papers") as ledger:
        ledger.remove("a.txt", "a.txt")
    assert differences(kept) == ["papers: a.txt: stored, but not in the ledger"]


def test_in_the_ledger_but_not_stored_or_with_another_fingerprint(kept: Kept, papers: Path) -> None:
    store = kept.open()
    stored = store.files("papers")["b.txt"]
    store.delete("papers", "a.txt")
    store.close()
    with Ledger(kept.state, "papers") as ledger:
        ledger.put("b.txt", ledger.rows()["b.txt"]._replace(fingerprint="other-abc123"))
    assert stored.content_hash.endswith("-abc123")
    assert differences(kept) == [
        "papers: a.txt: in the ledger as stored, but not in the store",
        "papers: b.txt: stored with another fingerprint than the ledger has",
    ]


def test_new_changed_and_gone_in_the_folder(kept: Kept, papers: Path) -> None:
    (papers / "a.txt").write_text("another text")
    (papers / "b.txt").unlink()
    (papers / "c.txt").write_text("new")
    assert differences(kept) == [
        "papers: a.txt: changed in the folder since it was stored",
        "papers: b.txt: gone from the folder, but stored",
        "papers: c.txt: in the folder, but neither stored nor in the ledger",
    ]


def test_a_touched_or_restored_file_is_no_difference(kept: Kept, papers: Path) -> None:
    os.utime(papers / "a.txt", (1, 1))
    shutil.copy(papers / "b.txt", papers / "b.txt.tmp")
    (papers / "b.txt.tmp").rename(papers / "b.txt")
    assert kept.run("check").returncode == ExitCode.OK


def test_a_new_unicode_form_of_a_name_is_no_difference(kept: Kept, papers: Path) -> None:
    name = "café.txt"
    old, new = (papers / normalize(form, name) for form in FORMS)
    old.write_text("heron")
    kept.follow("papers", papers)
    old.rename(new)
    assert kept.run("check").returncode == ExitCode.OK


def test_a_skipped_file_is_no_difference(kept: Kept, papers: Path) -> None:
    (papers / "bad.txt").write_text("")
    from rag_pipeline.sources.local_files.scan import scan_folder

    version = scan_folder(str(papers)).files["bad.txt"].version
    with Ledger(kept.state, "papers") as ledger:
        ledger.put("bad.txt", LedgerRow(version, Outcome.SKIPPED, reason="nothing in it"))
    assert kept.run("check").returncode == ExitCode.OK


def test_leftovers_and_missing_chunks(kept: Kept, papers: Path) -> None:
    store = kept.open()
    assert isinstance(store, LanceVectorStore)
    files = store.files("papers")
    table = store._table
    vectors = np.ones((2, DIMENSIONS), np.float32)
    table.add(rows.build(table.schema, "papers", files["b.txt"], 7, [Chunk("old", "", 0), Chunk("er", "", 1)], vectors))
    lost = SourceFile("x.txt", "x.txt", "", "h", 1, None, 0.0)
    table.add(rows.build(table.schema, "papers", lost, 8, [Chunk("lost", "", 0)], vectors[:1]).slice(1))
    table.delete("file_id = 'a.txt' AND chunk = 0")
    store.close()
    assert differences(kept) == [
        "papers: a.txt: 1 of its chunks is missing in the store",
        "papers: b.txt: leftover: 2 chunks that no file shows",
        "papers: b.txt: leftover: 1 replaced row of the file",
        "papers: x.txt: leftover: 1 chunk that no file shows",
    ]
    assert kept.run("compact").returncode == ExitCode.OK
    assert differences(kept) == ["papers: a.txt: 1 of its chunks is missing in the store"]


@pytest.mark.parametrize(
    ("model", "dimensions", "configured"),
    [("other", "8", "other@8 (8 dimensions)"), ("words", "16", "words@16 (16 dimensions)")],
)
def test_vectors_of_another_model_or_width(
    kept: Kept, papers: Path, model: str, dimensions: str, configured: str
) -> None:
    kept.env = {**ENV, "EMBEDDING_API_MODEL": model, "EMBEDDING_API_DIMENSIONS": dimensions}
    holds = f"{kept.state / 'store'}: holds vectors of {MODEL_ID} (8 dimensions)"
    assert differences(kept) == [f"{holds}, and the settings say {configured}"]


def test_the_embedded_model_is_compared_without_loading_it(kept: Kept, papers: Path) -> None:
    model = kept.root / "model"
    model.mkdir()
    for name in FILES:
        (model / name).write_text("no model")
    kept.env = {"EMBEDDING_MODEL_DIR": str(model)}
    [line] = differences(kept)
    assert re.search(r"and the settings say model@[0-9a-f]{8}$", line)


def test_a_pipeline_missing_in_the_ledger_is_one_line(kept: Kept, papers: Path) -> None:
    for path in kept.state.glob("ledger*"):
        path.unlink()
    assert differences(kept) == ["papers: 2 files stored, but the ledger has no such pipeline"]


def test_a_missing_or_unmounted_folder_is_one_line(kept: Kept, papers: Path) -> None:
    away = papers.rename(kept.root / "away")
    assert differences(kept) == [f"papers: its folder {papers} can't be read: No such file or directory"]
    papers.mkdir()
    assert differences(kept) == [f"papers: its folder {papers} is another one than before, and empty (not mounted?)"]
    papers.rmdir()
    away.rename(papers)
    assert kept.run("check").returncode == ExitCode.OK


def test_a_source_that_is_no_folder_is_compared_with_the_ledger_only(kept: Kept, papers: Path) -> None:
    with Ledger(kept.state, "papers") as ledger:
        ledger.set_source(SourceRecord("My Drive", "drive"))
    (papers / "a.txt").unlink()
    note = "note: papers: its source, My Drive, is no folder here: not compared with the store\n"
    assert said(kept.run("check")) == (ExitCode.OK, "1 pipeline, 2 files, 3 chunks: all agrees\n", note)


class ChangingStore:
    """A store that calls a function before each pass."""

    def __init__(self, store: MaintainableStore, before_pass: Callable[[int], None]) -> None:
        self._store = store
        self._before_pass = before_pass
        self.passes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def pipelines(self) -> dict[str, StoredPipeline]:
        self.passes += 1
        self._before_pass(self.passes)
        return self._store.pipelines()


def test_while_a_pipeline_runs_only_lasting_differences_count(
    kept: Kept, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "PAUSE_SECONDS", 0.01)
    settings = IngestSettings.from_env(ENV)
    existing = open_existing(settings, kept.state / "store")
    with Ledger(kept.state, "papers") as ledger, StateFolder(kept.state):
        earlier_rows = ledger.rows()
        ledger.remove("a.txt", "a.txt")
        ledger.remove("b.txt", "b.txt")

        def add_row(number: int) -> None:
            if number == 2:  # as a pipeline does, a moment after the store
                ledger.put("a.txt", earlier_rows["a.txt"])

        store = ChangingStore(existing.store, add_row)
        report = check.check(existing._replace(store=cast(MaintainableStore, store)), settings, kept.state)
    existing.store.close()
    assert [(each.file_id, each.what) for each in report.differences] == [("b.txt", "stored, but not in the ledger")]
    assert store.passes == check.MAX_PASSES


def test_after_a_real_pipeline_there_is_no_difference(kept: Kept, api: Endpoint) -> None:
    folder = kept.folder("docs", **{f"n{n}": f"the heron number {n}" for n in range(5)})
    (folder / "empty.txt").write_text("")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    kept.env = dict(api.env)
    args = ["local-files", str(folder), "--once", "--plain", "--state-dir", str(kept.state)]
    assert command(args, {**api.env, "RAG_SETTLE_SECONDS": "0"}).returncode == ExitCode.FILES_FAILED
    assert said(kept.run("check")) == (ExitCode.OK, "1 pipeline, 5 files, 5 chunks: all agrees\n", "")


def test_while_a_real_pipeline_runs_there_is_no_false_alarm(kept: Kept, api: Endpoint) -> None:
    folder = kept.folder("docs", **{f"n{n}": f"the heron number {n}" for n in range(200)})
    kept.env = dict(api.env)
    api.delay_seconds = 0.05
    env = {**api.env, "RAG_SETTLE_SECONDS": "0", "RAG_CHECK_INTERVAL": "0.5", "RAG_PIPELINE_ID": "docs"}
    with process([str(folder), "--state-dir", str(kept.state)], env) as running:
        wait_until(lambda: running.output.count("n1") > 3)
        (folder / "n199.txt").write_text("changed")
        code, out, err = said(kept.run("check"))
        assert running.status()["status"] != "idle"
        assert (code, out.endswith(": all agrees\n")) == (ExitCode.OK, True), out
        notes = err.splitlines()
        pid = running.popen.pid
        assert notes[0] == f"note: process {pid} runs here: its pending work does not count as differences"
        assert notes[1].startswith("note: docs: waits for the pipeline: in the folder, but neither stored nor in ")
        # A difference that the pipeline would never resolve is found.
        with Ledger(kept.state, "another") as ledger:
            ledger.put("x", LedgerRow("1", Outcome.STORED, "h-r", "r"))
        done = kept.run("check")
        assert done.returncode == ExitCode.DISAGREEMENT
        assert done.stdout.splitlines()[:-1] == ["another: x: in the ledger as stored, but not in the store"]
