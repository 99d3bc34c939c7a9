from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import StateError
from rag_pipeline.sources import ledger as ledger_module
from rag_pipeline.sources.ledger import (
    _STEPS,
    FILE_NAME,
    OVERRUN_RETRY_SECONDS,
    SCHEMA_VERSION,
    EventPosition,
    Ledger,
    LedgerRow,
    Outcome,
    SourceRecord,
    hash_config,
    reconcile,
)

STORED = LedgerRow("v1", Outcome.STORED, "f1", "r1")
FAILED = LedgerRow("v1", Outcome.FAILED, None, "r1", 3, "no", 12.5)


def test_rows_are_kept_and_collections_do_not_mix(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger, Ledger(tmp_path, "b") as other:
        ledger.put("x", STORED)
        ledger.put("x", FAILED)
        other.put("x", STORED)
        ledger.put("gone", STORED)
        ledger.remove("gone", "gone.txt")
        ledger.remove("never known", "x.txt")
    with Ledger(tmp_path, "a") as ledger:
        assert ledger.rows() == {"x": FAILED}
    with Ledger(tmp_path, "b") as other:
        assert other.rows() == {"x": STORED}


def test_replace_all_replaces_the_rows_of_one_collection(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger, Ledger(tmp_path, "b") as other:
        ledger.put("x", STORED)
        other.put("x", STORED)
        ledger.replace_all({"y": FAILED})
        assert (ledger.rows(), other.rows()) == ({"y": FAILED}, {"x": STORED})


def test_the_source_is_kept_per_collection(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger, Ledger(tmp_path, "b") as other:
        ledger.set_source(SourceRecord("/docs", "1:2"))
        assert (ledger.source(), other.source()) == (SourceRecord("/docs", "1:2"), None)


def test_a_ledger_of_a_newer_version_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    Ledger(tmp_path, "a").close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(StateError, match="newer version"):
        Ledger(tmp_path, "a")


def test_a_ledger_of_an_older_version_is_migrated(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        for statement in _STEPS[0].split(";"):
            db.execute(statement)
        db.execute("INSERT INTO files VALUES ('a', 'x', 'v1', 'stored', 'f1', 'r1', 0, NULL, NULL, 1.0)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with Ledger(tmp_path, "a") as taken:
        assert taken.rows() == {"x": STORED}
        taken.put("x", STORED._replace(name="X.txt"))
    with Ledger(tmp_path, "a") as taken:
        assert taken.rows()["x"].name == "X.txt"


def test_the_error_for_a_damaged_ledger_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)
    with pytest.raises(StateError, match=r"is damaged .* remove it"):
        Ledger(tmp_path, "a")


def test_an_unwritable_folder_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="can't be used") as caught:
        Ledger(tmp_path / "missing", "a")
    assert "\n" not in str(caught.value)


def test_a_write_after_close_is_a_state_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "a")
    ledger.close()
    ledger.close()
    with pytest.raises(StateError):
        ledger.put("x", STORED)


def test_a_full_disk_is_a_state_error(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger:
        ledger._db.run("PRAGMA max_page_count = 1")
        with pytest.raises(StateError, match="full"):
            ledger.replace_all({f"file {n}" * 50: STORED for n in range(1000)})
        assert ledger.rows() == {}


def test_stored_files_unknown_to_the_ledger_are_adopted_without_embedding() -> None:
    assert reconcile({}, {"x": "f9"}, "r1") == {"x": LedgerRow(None, Outcome.STORED, "f9", "r1")}
    assert reconcile({"x": STORED}, {"x": "f9"}, "r1") == {"x": LedgerRow(None, Outcome.STORED, "f9", "r1")}


def test_files_that_the_store_has_lost_are_ingested_again() -> None:
    assert reconcile({"x": STORED}, {}, "r1") == {}


def test_failed_files_are_due_at_once_after_a_start() -> None:
    assert reconcile({"x": FAILED}, {}, "r1")["x"].retry_at == 0.0
    assert reconcile({"x": FAILED._replace(retry_at=None)}, {}, "r1")["x"].retry_at == 0.0


def test_files_of_another_configuration_are_ingested_again() -> None:
    skipped = LedgerRow("v1", Outcome.SKIPPED, None, "r1", 0, "no")
    rows = reconcile({"x": STORED, "y": skipped}, {"x": "f1"}, "r2")
    assert [row.version for row in rows.values()] == [None, None]


def test_files_that_should_not_be_stored_are_done_again() -> None:
    skipped, no_file = LedgerRow("v1", Outcome.SKIPPED, None, "r1"), LedgerRow("why", Outcome.UNREADABLE)
    known = {"s": skipped, "o": no_file, "unreadable": no_file._replace(attempts=1)}
    assert reconcile(known, dict.fromkeys(known, "f1"), "r1") == {
        "s": skipped._replace(version=None),
        "o": no_file._replace(version=None),
        "unreadable": no_file._replace(attempts=1),
    }
    assert reconcile(known, {}, "r1") == known


keys = st.sampled_from("abcd")
rows = st.builds(
    LedgerRow,
    st.sampled_from(["v1", "v2"]),
    st.sampled_from(Outcome),
    st.sampled_from(["f1", "f2"]),
    st.sampled_from(["r1", "r2"]),
)


@pytest.mark.slow
@given(st.dictionaries(keys, rows), st.dictionaries(keys, st.sampled_from(["f1", "f2"])))
def test_reconciled_rows_and_the_store_agree(known: dict[str, LedgerRow], stored: dict[str, str]) -> None:
    result = reconcile(known, stored, "r1")
    assert stored.keys() <= result.keys()
    for key, row in result.items():
        if row.outcome is Outcome.STORED:
            assert stored[key] == row.fingerprint
        assert row.version is None or row.config_hash == "r1" or row.outcome is Outcome.UNREADABLE
    assert reconcile(result, stored, "r1") == result


def test_a_config_hash_does_not_depend_on_the_order_of_settings() -> None:
    assert hash_config(a=1, b=2) == hash_config(b=2, a=1) != hash_config(a=1, b=3)


def test_outcomes_are_unreported_until_they_are_reported(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger, Ledger(tmp_path, "b") as other:
        ledger.put("x", STORED._replace(name="X.txt"))
        ledger.put("y", FAILED)
        ledger.remove("z", "Z.txt")
        other.put("x", STORED)
        assert ledger.find_unreported(None, {}) == {"x": "X.txt", "y": "y", "z": "Z.txt"}
        ledger.mark_reported("x", EventPosition("e", 1))
        ledger.mark_deletion_reported("z", EventPosition("e", 2))
        assert ledger.find_unreported(None, {}) == {"y": "y"}
        ledger.mark_reported("y", EventPosition("e", 3))
        ledger.put("y", STORED)
        assert ledger.find_unreported(None, {}) == {"y": "y"}


def test_outcomes_missing_from_the_journal_are_unreported(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger:
        for seq, key in enumerate("wxyz", 1):
            ledger.put(key, STORED)
            ledger.mark_reported(key, EventPosition("e", seq))
        for seq, key in enumerate("yz", 5):
            ledger.remove(key, key)
            ledger.mark_deletion_reported(key, EventPosition("e", seq))
        assert ledger.find_unreported(EventPosition("e", 5), {}) == {"z": "z"}
        # Another epoch from here on: outcomes once known to be in the journal stay so.
        assert ledger.find_unreported(EventPosition("f", 1), {}) == {"z": "z"}
        ledger.mark_deletion_reported("z", EventPosition("f", 2))
        assert ledger.find_unreported(EventPosition("f", 2), {}) == {}


def test_lost_reports_stay_unreported_when_their_sequence_numbers_are_used_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger:
        ledger.put("x", STORED)
        ledger.mark_reported("x", EventPosition("e", 5))
        ledger.remove("y", "y")
        ledger.mark_deletion_reported("y", EventPosition("e", 6))
        assert (
            ledger.find_unreported(EventPosition("e", 4), {})
            == ledger.find_unreported(EventPosition("e", 90), {})
            == {"x": "x", "y": "y"}
        )


def test_replace_all_keeps_the_reports_of_unchanged_outcomes(
    tmp_path: Path,
) -> None:
    with Ledger(tmp_path, "a") as ledger:
        for key in ("same", "changed", "dropped"):
            ledger.put(key, FAILED)
            ledger.mark_reported(key, EventPosition("e", 1))
        ledger.replace_all({"same": FAILED, "changed": FAILED._replace(retry_at=0.0), "new": STORED})
        assert ledger.rows()["changed"].retry_at == 0.0
        assert ledger.find_unreported(EventPosition("e", 1), {}) == {"dropped": "dropped", "new": "new"}


def test_interrupted_files_stay_unreported_over_any_number_of_starts(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger:
        ledger.put("stored", STORED._replace(name="stored.txt"))
        ledger.mark_reported("stored", EventPosition("e", 1))
        lost = {"stored": "stored.txt", "new": "new.txt"}
        assert ledger.find_unreported(EventPosition("e", 5), lost) == lost
        for seq in (8, 9):
            assert ledger.find_unreported(EventPosition("e", seq), {}) == lost
        assert ledger.find_unreported(EventPosition("e", 9), {"new": "new"}) == lost  # the name is known
        for key in lost:
            ledger.put(key, STORED)
            ledger.mark_reported(key, EventPosition("e", 12))
        assert ledger.find_unreported(EventPosition("e", 12), {}) == {}


def test_a_file_that_is_back_is_not_reported_as_deleted(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a") as ledger:
        ledger.remove("x", "x")
        assert ledger.find_unreported(EventPosition("e", 5), {}) == {"x": "x"}
        ledger.put("x", STORED)
        ledger.mark_reported("x", EventPosition("e", 7))
        assert ledger.find_unreported(EventPosition("e", 7), {}) == {}


def test_the_oldest_of_very_many_deletions_are_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "PRUNE_AFTER", 4)
    monkeypatch.setattr(ledger_module, "JOURNAL_LAG_EVENTS", 2)
    with Ledger(tmp_path, "a") as ledger:
        ledger.remove("never reported", "x")
        for seq in range(1, 9):
            ledger.remove(str(seq), str(seq))
            ledger.mark_deletion_reported(str(seq), EventPosition("e", seq))
        assert sorted(ledger.find_unreported(EventPosition("f", 1), {})) == ["6", "7", "8", "never reported"]


def test_outcomes_of_an_older_ledger_count_as_reported(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        for step in _STEPS[:2]:
            for statement in filter(str.strip, step.split(";")):
                db.execute(statement)
        db.execute("INSERT INTO files VALUES ('a', 'x', 'v1', 'stored', 'f1', 'r1', 0, NULL, NULL, 1.0, 'x')")
        db.execute("PRAGMA user_version = 2")
    db.close()
    with Ledger(tmp_path, "a") as taken:
        assert taken.find_unreported(EventPosition("e", 1), {}) == taken.find_unreported(None, {}) == {}


def test_dropping_a_collection_leaves_the_others(tmp_path: Path) -> None:
    with Ledger(tmp_path, "one") as one, Ledger(tmp_path, "two") as two:
        for ledger in (one, two):
            ledger.set_source(SourceRecord("/papers", "1:2"))
            ledger.put("a", LedgerRow("v", Outcome.STORED, "h", "r"))
            ledger.remove("gone", "gone")
        one.drop()
        assert (one.rows(), one.source(), one.find_unreported(None, {})) == ({}, None, {})
        assert (list(two.rows()), two.source()) == (["a"], SourceRecord("/papers", "1:2"))
        assert two.find_unreported(None, {}) == {"gone": "gone", "a": "a"}


def test_a_file_that_overran_is_not_due_at_a_start_but_within_a_day() -> None:
    overran = FAILED._replace(overran=True, retry_at=5000.0)
    assert reconcile({"x": overran}, {}, "r1", 4000.0)["x"].retry_at == 5000.0
    assert reconcile({"x": overran._replace(retry_at=1e12)}, {}, "r1", 0.0)["x"].retry_at == OVERRUN_RETRY_SECONDS
    # A retry was requested, or the clock has changed.
    assert reconcile({"x": overran._replace(retry_at=0.0)}, {}, "r1", 4000.0)["x"].retry_at == 0.0
    assert reconcile({"x": overran}, {}, "r2", 4000.0)["x"].version is None
