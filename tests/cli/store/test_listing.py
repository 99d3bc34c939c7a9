"""The lines and the JSON of ``store list``."""

from __future__ import annotations

from rag_pipeline.cli.store.ledger_reader import LedgerFile, LedgerPipeline
from rag_pipeline.cli.store.listing import PipelineSummary, as_table, list_pipelines
from rag_pipeline.ingest.types import StoredPipeline
from rag_pipeline.sources.ledger import Outcome, SourceRecord

FILE = {"a": LedgerFile(Outcome.STORED, "h-r", "1")}
HERE = {"/papers": True, "/old": False}


def known(place: str, changed_at: float = 5.0) -> LedgerPipeline:
    return LedgerPipeline(FILE, SourceRecord(place, "1:2"), changed_at)


def remark(entries: list[PipelineSummary], pipeline_id: str) -> str:
    [entry] = [entry for entry in entries if entry.pipeline_id == pipeline_id]
    return entry.remark


def test_the_latest_change_counts_and_the_source_comes_from_the_ledger() -> None:
    [entry] = list_pipelines({"p": StoredPipeline(2, 9, 7.0)}, {"p": known("/papers")}, HERE.get)
    assert entry == PipelineSummary("p", 2, 9, 7.0, "/papers", True, True, None, "")
    [entry] = list_pipelines({"p": StoredPipeline(2, 9)}, {"p": known("/papers")}, HERE.get)
    assert entry.changed_at == 5.0


def test_unusual_pipelines_have_remarks() -> None:
    stored = {name: StoredPipeline(1, 1) for name in ("gone", "moved", "stranger", "first", "second")}
    ledger = {"moved": known("/old"), "first": known("/papers"), "second": known("/papers"), "empty": known("drive")}
    entries = list_pipelines(stored, ledger, HERE.get)
    assert [entry.pipeline_id for entry in entries] == ["empty", "first", "gone", "moved", "second", "stranger"]
    assert remark(entries, "gone") == "not in the ledger of this state folder"
    assert remark(entries, "moved") == "its folder is gone"
    assert remark(entries, "second") == "its source is followed as first too"
    assert remark(entries, "empty") == "in the ledger only: nothing is stored"


def test_a_running_pipeline_names_its_process() -> None:
    [entry] = list_pipelines({"p": StoredPipeline(1, 1, None, "reeds:/state (1)")}, {"p": known("/papers")}, HERE.get)
    assert (entry.held_by, entry.remark) == ("reeds:/state (1)", "run by reeds:/state (1)")


def test_json_has_the_time_in_utc_and_null_for_what_is_unknown() -> None:
    [entry] = list_pipelines({"p": StoredPipeline(1, 2, 1_700_000_000.5)}, {}, HERE.get)
    assert entry.as_json() == {
        "id": "p", "files": 1, "chunks": 2, "changed_at": "2023-11-14T22:13:20.500000+00:00", "source": None,
        "in_ledger": False, "folder_exists": None, "held_by": None, "remark": "not in the ledger of this state folder",
    }  # fmt: skip


def test_the_table_is_aligned_and_has_no_control_characters() -> None:
    entries = list_pipelines({"a\x1b": StoredPipeline(1, 10), "long-name": StoredPipeline(200, 3)}, {}, HERE.get)
    header, first, about, second, _ = as_table(entries).splitlines()
    assert header == "PIPELINE   FILES  CHUNKS  LAST CHANGE  SOURCE"
    assert first == "a\\x1b          1      10  -            -"
    assert about == "  not in the ledger of this state folder"
    assert second == "long-name    200       3  -            -"
