from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from rag_pipeline.common import native
from rag_pipeline.contract.events import NS_GOOGLE_DRIVE, NS_LOCAL_FILES, NS_PIPELINE, STATUS, PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileQuery, FileStatus, offset_of
from rag_pipeline.journal.base import LocalJournal
from rag_pipeline.journal.gap import EventOverflow, is_gap
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from rag_pipeline.status.model import FileBody, FileRecord, StateBody
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.driving import Step, assert_saved, recorded, steps, take
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
DAY = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(path)
    yield opened
    opened.close()


def file_event(
    seq: int, name: str = "pipeline:file_processing_started", file: str = "a", *, age: float = 0.0, **fields: Any
) -> PipelineEvent:
    """Return an event of pipeline ``p`` with this age in seconds."""
    at = time.time() - age
    event = PipelineEvent(
        name, (NS_LOCAL_FILES, NS_PIPELINE), "p", "local_files", "e", seq, at, FileBody(FileRecord(file, None))
    )
    return event._replace(**fields)


def started(first: int, last: int, *, age: float = 0.0) -> list[PipelineEvent]:
    return [file_event(seq, file=f"file {seq}", age=age) for seq in range(first, last + 1)]


def positions(entries: Sequence[Entry]) -> list[int]:
    return [entry.position for entry in entries]


# -- appending and reading -------------------------------------------------------------------------------------------


def test_events_survive_a_restart_unchanged(path: Path) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running", own={"own_field": "é\0"})
    pipeline.add_processing_file("a.pdf", "1")
    first = SqliteJournal(path)
    entries = first.append(recorder.events)
    before = [(entry.position, entry.text) for entry in entries if entry.event.numbered]
    newest, offset = first.newest, offset_of(first.generations.identity, first.newest)
    first.close()

    again = SqliteJournal(path)
    assert (again.newest, again.generations.position_of(offset)) == (newest, newest)
    kept = again.read(0, 100)
    assert [(entry.position, entry.text) for entry in kept] == before
    events = [event for event in recorder.events if event.numbered]
    assert [entry.event[:7] for entry in kept] == [event[:7] for event in events]
    assert [entry.event.payload() for entry in kept] == [json.loads(text) for _, text in before]
    again.close()


def test_a_summary_is_not_stored_and_has_the_position_before_it(journal: LocalJournal) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    snapshot = recorder.events[0]
    assert not snapshot.numbered
    assert positions(journal.append([snapshot])) == [0]
    assert positions(journal.append([*(e for e in recorder.events if e.numbered), snapshot, snapshot])) == [1, 1, 1]
    assert (journal.newest, len(journal.read(0, 10)), journal.size()["events"]) == (1, 1, 1)


def test_appending_nothing_does_nothing(journal: LocalJournal) -> None:
    assert journal.append([]) == []
    assert (journal.newest, journal.reaches(0), journal.reaches(1)) == (0, True, False)


def test_two_journals_have_two_identities(tmp_path: Path) -> None:
    one, two = SqliteJournal(tmp_path / "one"), SqliteJournal(tmp_path / "two")
    assert one.generations.identity != two.generations.identity
    assert len(one.generations.identity) == 16
    one.close()
    two.close()


def test_reading_is_limited_and_starts_after_a_position(journal: LocalJournal) -> None:
    journal.append(started(1, 10))
    assert positions(journal.read(0, 3)) == [1, 2, 3]
    assert positions(journal.read(3, 100)) == [4, 5, 6, 7, 8, 9, 10]
    assert journal.read(10, 100) == journal.read(0, 0) == journal.read(0, -1) == journal.read(1 << 127, 5) == []
    assert not journal.reaches(1 << 127)


def test_a_namespace_gets_only_its_own_events(journal: LocalJournal) -> None:
    journal.append(
        [
            file_event(1),
            file_event(2, namespaces=(NS_GOOGLE_DRIVE, NS_PIPELINE)),
            file_event(3, namespaces=(NS_PIPELINE,)),
            file_event(4, namespaces=(NS_LOCAL_FILES, NS_GOOGLE_DRIVE, NS_PIPELINE)),
        ]
    )
    read = {ns: positions(journal.read(0, 10, ns)) for ns in (NS_LOCAL_FILES, NS_GOOGLE_DRIVE, NS_PIPELINE)}
    assert read == {NS_LOCAL_FILES: [1, 4], NS_GOOGLE_DRIVE: [2, 4], NS_PIPELINE: [1, 2, 3, 4]}
    for none in ("", "/", "/pipe", "pipeline", "/local_files /pipeline", "%", "\udc80"):
        assert journal.read(0, 10, none) == []


# -- pruning ---------------------------------------------------------------------------------------------------------


def test_the_oldest_events_are_removed_over_the_limit_and_the_files_stay(path: Path) -> None:
    journal = SqliteJournal(path, max_events=100)
    for seq in range(1, 501):
        journal.append([file_event(seq, file=f"file {seq}")])
        assert journal.size()["events"] <= 100
    kept = positions(journal.read(0, 1000))
    assert kept == list(range(kept[0], 501))
    assert len(kept) >= 90
    assert len(journal.files(FileQuery(limit=1000))) == len(journal.saved_states()["p"].in_flight) == 500
    for _ in range(2):
        assert (journal.reaches(kept[0] - 2), journal.reaches(kept[0] - 1), journal.reaches(500)) == (False, True, True)
        journal.close()
        journal = SqliteJournal(path, max_events=100)
    journal.close()


@pytest.mark.slow
def test_pruning_removes_little_more_than_is_added(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append(started(1, 5000))
    journal.close()
    journal = SqliteJournal(path, max_events=10)
    seen = [5000]
    while seen[-1] > 10:
        journal.append(started(5000 + len(seen), 5000 + len(seen)))
        seen.append(journal.size()["events"])
        assert seen[-2] - 10 <= seen[-1] < seen[-2]
    journal.append(started(20_000, 21_000))
    assert journal.size()["events"] <= 10
    journal.close()


def test_old_events_are_removed_and_positions_still_rise_after_a_restart(path: Path) -> None:
    journal = SqliteJournal(path, max_age_seconds=DAY)
    journal.append([*started(1, 5, age=2 * DAY), *started(6, 7)])
    assert positions(journal.read(0, 10)) == [6, 7]
    assert (journal.reaches(4), journal.reaches(5)) == (False, True)
    journal.close()

    journal = SqliteJournal(path, max_age_seconds=0.0)
    journal.append(started(8, 8, age=1))
    assert journal.read(0, 10) == []
    journal.close()

    journal = SqliteJournal(path)
    assert (journal.newest, journal.reaches(7), journal.reaches(8), journal.size()["events"]) == (8, False, True, 0)
    assert positions(journal.append(started(9, 9))) == [9]
    journal.close()


def test_an_event_that_expired_while_nothing_ran_is_removed_by_the_next_append(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append(started(1, 3, age=2 * DAY))
    journal.close()
    journal = SqliteJournal(path, max_age_seconds=DAY)
    journal.append(started(4, 4))
    assert positions(journal.read(0, 10)) == [4]
    journal.close()


def test_a_deleted_file_is_listed_until_its_last_event_is_past_the_age(path: Path) -> None:
    deleted = "pipeline:file_deleted"
    journal = SqliteJournal(path)
    journal.append(
        [
            file_event(1, deleted, "long gone", age=2 * DAY),
            file_event(2, deleted, "just gone"),
            file_event(3, "pipeline:file_completed", "old", age=2 * DAY),
        ]
    )
    journal.close()
    journal = SqliteJournal(path, max_age_seconds=DAY)
    journal.append(started(4, 4))
    assert [row.file["name"] for row in journal.files(FileQuery())] == ["file 4", "old", "just gone"]
    journal.close()


def test_old_events_beyond_one_sweep_are_removed_by_the_next_appends(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.sqlite.journal.SWEEP_EVENTS", 10)
    journal = SqliteJournal(path)
    journal.append(started(1, 25, age=2 * DAY))
    journal.close()
    journal = SqliteJournal(path, max_age_seconds=DAY)
    left = []
    for seq in range(26, 30):
        journal.append(started(seq, seq))
        left.append(len(journal.read(0, 100)))
    assert left == [16, 7, 3, 4]
    journal.close()


def test_offsets_of_events_missing_in_a_restored_backup_are_invalid(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append(started(1, 3))
    copy = path.with_name("copy")
    copy.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, copy)
    journal.append(started(4, 6))
    offsets = [offset_of(journal.generations.identity, position) for position in range(7)]
    journal.close()
    restored = SqliteJournal(copy / path.name)
    restored.append(started(4, 9))
    assert [restored.generations.position_of(offset) for offset in offsets] == [0, 1, 2, 3, None, None, None]
    restored.close()


# -- saved states ----------------------------------------------------------------------------------------------------


class Journaled(RuleBasedStateMachine):
    """A pipeline whose events are appended in batches; journal and pipeline are reopened at random."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = self.opened()
        self.pipeline, self.recorder = recorded("p")
        self.appended = 0
        self.published: list[str] = []

    def opened(self) -> SqliteJournal:
        return SqliteJournal(Path(self.folder.name) / "journal.sqlite3", max_events=30)

    @rule(step=steps)
    def call(self, step: Step) -> None:
        take(self.pipeline, step)

    @rule()
    def flush(self) -> None:
        core_of(self.pipeline).flush(everything=True)

    @rule(size=st.integers(1, 40))
    def append(self, size: int) -> None:
        batch = self.recorder.events[self.appended : self.appended + size]
        entries = self.journal.append(batch)
        self.appended += len(batch)
        self.published += [entry.text for entry in entries if entry.event.numbered]
        assert self.journal.newest >= len(self.published)  # a state that replaces missing events uses more positions

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = self.opened()

    @rule()
    def begin_epoch(self) -> None:
        core_of(self.pipeline).begin_epoch()

    @rule()
    def end_and_go_on_in_another_process(self) -> None:
        self.check()
        self.reopen()
        saved = dict(self.journal.saved_states())
        self.pipeline.close()
        self.pipeline = PipelineStatus("local_files", "p")
        core_of(self.pipeline).attach(self.recorder, saved.get)
        assert self.pipeline.get()["files_in_flight"] == 0
        self.check()

    @rule()
    def check(self) -> None:
        self.flush()
        self.append(len(self.recorder.events))
        assert_saved(self.journal.saved_states()["p"], self.pipeline)
        kept = self.journal.read(0, 1000)
        assert [entry.text for entry in kept] == self.published[len(self.published) - len(kept) :]
        # A state that replaces missing events uses a position for each file that it shows.
        assert len(kept) <= self.journal.size()["events"] <= 30
        if kept:
            assert self.journal.reaches(kept[0].position - 1)

    def teardown(self) -> None:
        self.check()
        self.pipeline.close()
        self.journal.close()
        self.folder.cleanup()


Journaled.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestWhatIsSavedIsTheStateOfThePipeline = pytest.mark.slow(Journaled.TestCase)


# -- several threads, several processes ------------------------------------------------------------------------------


def test_readers_do_not_wait_for_a_transaction_that_is_being_written(journal: SqliteJournal) -> None:
    journal.append(started(1, 3))
    with journal._write_lock:
        journal._writer.execute("BEGIN IMMEDIATE")
        journal._writer.execute("DELETE FROM events")
        try:
            assert positions(journal.read(0, 10)) == [1, 2, 3]
            assert len(journal.files(FileQuery())) == len(journal.saved_states()["p"].in_flight) == 3
            assert journal.size()["events"] == 3
            assert journal.reaches(0)
        finally:
            journal._writer.execute("ROLLBACK")


@pytest.mark.slow
def test_a_reader_sees_each_event_once_and_in_order_while_another_thread_writes(path: Path) -> None:
    journal = SqliteJournal(path, max_events=10_000)
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for first in range(1, 3000, 10):
                journal.append(started(first, first + 9))
        except BaseException as error:  # noqa: BLE001 - the test tells it
            failures.append(error)

    writer = native.start_thread(write, "writer")
    seen: list[int] = []

    def everything_seen() -> bool:
        seen.extend(positions(journal.read(len(seen), 100)))
        assert journal.reaches(len(seen))
        if "p" in (saved := journal.saved_states()):
            assert len(saved["p"].in_flight) == saved["p"].seq, "all as of one moment"
        return len(seen) == 3000 or bool(failures)

    wait_until(everything_seen)
    assert writer.join(60)
    assert failures == []
    assert seen == list(range(1, 3001))
    journal.close()


def test_events_newer_than_the_journal_reaches_are_not_read(journal: SqliteJournal) -> None:
    journal.append(started(1, 1))
    # As seen by another thread between the commit of an append and its return.
    journal._writer.execute("INSERT INTO events SELECT 2, at, name, namespaces, 'p', '', 'e', 2, text FROM events")
    assert positions(journal.read(0, 10)) == [1]


def test_a_reader_that_checks_afterwards_notices_pruning(path: Path) -> None:
    journal = SqliteJournal(path, max_events=3)
    journal.append(started(1, 3))
    reached: dict[str, bool] = {}
    journal._writer.set_trace_callback(lambda statement: reached.update({statement: journal.reaches(0)}))
    journal.append(started(4, 4))
    journal._writer.set_trace_callback(None)
    (insert,) = (statement for statement in reached if statement.startswith("INSERT INTO batch"))
    assert not reached[insert], "after this statement another thread may find the first event removed"
    journal.close()


def test_a_journal_in_use_is_refused_with_the_name_of_the_process(path: Path) -> None:
    with appending(path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(JournalError, match=f"{path.name} is in use by process {child.pid}$"):
            SqliteJournal(path)
    SqliteJournal(path).close()


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 5, 40])
def test_appended_events_survive_sigkill(path: Path, lines: int) -> None:
    with appending(path) as child:
        assert child.stdout is not None
        output = [json.loads(child.stdout.readline()) for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        output += [json.loads(line) for line in child.stdout.read().splitlines() if line.endswith("}")]
    journal = SqliteJournal(path)
    entries = journal.read(0, 1_000_000)
    assert journal.newest >= output[-1]["newest"] > 0
    assert positions(entries) == [entry.event.seq for entry in entries] == list(range(1, journal.newest + 1))
    saved = journal.saved_states()["p"]
    assert saved.seq == journal.newest
    ended = {entry.event.payload()["file"]["id"] for entry in entries if "totals" in entry.event.payload()}
    assert sum(saved.totals) + len(saved.in_flight) >= len(ended)
    assert sum(saved.totals) == len([*saved.outcomes])
    journal.close()


APPENDING = [sys.executable, "-m", "tests.journal.appending"]


@contextmanager
def appending(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the appending process; it ends with the block."""
    with subprocess.Popen([*APPENDING, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def appended_within(path: Path, limit: int) -> list[dict[str, Any]]:
    """Run the appending process with a file size limit; return its output."""
    command = [*APPENDING, str(path), str(limit)]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


# -- unusable files --------------------------------------------------------------------------------------------------


def test_a_full_disk_fails_only_the_append_and_stores_nothing_of_it(path: Path) -> None:
    *appended, error, after, later = appended_within(path, 400_000)
    assert error == {"error": f"{path} can't be used: disk I/O error"}
    assert after == {"kept": appended[-1]["newest"], "read": appended[-1]["newest"]}
    assert later == {"newest": after["kept"] + 1}
    journal = SqliteJournal(path)
    assert journal.saved_states()["p"].seq == appended[-1]["seq"]
    assert journal.newest == later["newest"]
    journal.close()


def test_a_full_disk_at_the_start_is_reported_in_one_line(path: Path) -> None:
    (output,) = appended_within(path, 0)
    assert output["error"].startswith(f"{path} can't be used: ")
    assert "\n" not in output["error"]


def test_an_append_without_room_reports_a_full_disk(journal: SqliteJournal) -> None:
    journal.append(started(1, 3))
    before = journal.saved_states()
    (pages,) = journal._writer.execute("PRAGMA page_count").fetchone()
    journal._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match=r"the disk is full$"):
        journal.append(started(4, 1000))
    assert (journal.newest, journal.saved_states(), len(journal.files(FileQuery()))) == (3, before, 3)
    journal._writer.execute("PRAGMA max_page_count = 1000000")
    assert positions(journal.append(started(4, 5))) == [4, 5]
    assert journal.saved_states()["p"].seq == 5


def test_a_batch_with_an_event_that_can_not_be_stored_is_not_stored_at_all(journal: LocalJournal) -> None:
    with pytest.raises(UnicodeEncodeError):
        journal.append([*started(1, 3), file_event(4, file="\udc80")])
    assert (journal.newest, journal.files(FileQuery()), journal.saved_states()) == (0, [], {})
    assert positions(journal.append(started(1, 3))) == [1, 2, 3]
    assert [row.status for row in journal.files(FileQuery())] == [FileStatus.PROCESSING] * 3


def test_a_damaged_file_says_what_to_do_and_is_unlocked(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(JournalError, match=r"journal\.sqlite3 is damaged .*: remove it") as caught:
        SqliteJournal(path)
    assert "\n" not in str(caught.value)
    path.unlink()
    SqliteJournal(path).close()


def test_damage_after_an_intact_first_page_is_reported_at_the_start(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append(started(1, 500))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(JournalError, match="is damaged"):
        SqliteJournal(path)


def test_a_file_cut_short_is_damaged(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append(started(1, 500))
    journal.close()
    os.truncate(path, 5000)
    with pytest.raises(JournalError, match="is damaged"):
        SqliteJournal(path)


def test_a_record_that_cannot_be_read_is_damage(journal: SqliteJournal) -> None:
    journal.append(started(1, 1))
    journal._writer.execute("UPDATE files SET record = '[1'")
    for call in (journal.saved_states, lambda: journal.files(FileQuery())):
        with pytest.raises(JournalError, match="is damaged"):
            call()


def test_after_close_every_call_raises(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.close()
    journal.close()
    calls = (lambda: journal.append(started(1, 1)), lambda: journal.read(0, 1), journal.saved_states)
    for call in (*calls, lambda: journal.files(FileQuery())):
        with pytest.raises(JournalError, match=r"is closed$"):
            call()


def test_the_size_includes_the_log_on_disk(journal: SqliteJournal, path: Path) -> None:
    journal.append(started(1, 100))
    size = journal.size()
    wal = path.with_name(f"{path.name}-wal")
    assert size == {"kind": "sqlite", "events": 100, "bytes": path.stat().st_size + wal.stat().st_size}


def test_the_states_of_two_pipelines_are_saved_separately(journal: LocalJournal) -> None:
    (one, recorder), (two, _) = recorded("one"), recorded("two", None)
    core_of(two).attach(recorder)
    one.add_processing_file("a")
    two.add_processing_file("a")
    two.complete_file("a", success=False, error="no")
    for pipeline in (one, two):
        core_of(pipeline).flush(everything=True)
    journal.append(recorder.events)
    saved = journal.saved_states()
    assert saved.keys() == {"one", "two"}
    assert_saved(saved["one"], one)
    assert_saved(saved["two"], two)


# -- bugs and gaps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [TypeError("ours"), ValueError("ours"), KeyError("ours")])
@pytest.mark.parametrize("where", ["search.find_files", "journal.saved_states", "journal.CheckpointWriter.note"])
def test_a_bug_is_never_reported_as_damage(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(f"rag_pipeline.journal.sqlite.{where}", fail)
    calls: dict[str, Callable[[], object]] = {
        "search.find_files": lambda: journal.files(FileQuery()),
        "journal.saved_states": journal.saved_states,
        "journal.CheckpointWriter.note": lambda: journal.append(started(1, 1)),
    }
    with pytest.raises(type(error), match="ours"):
        calls[where]()
    monkeypatch.undo()
    assert positions(journal.append(started(1, 3))) == [1, 2, 3]
    assert len(journal.files(FileQuery())) == 3


def test_a_wrong_statement_is_not_reported_as_damage(journal: SqliteJournal) -> None:
    class NoColumn:
        """A value that SQLite can't store."""

    event = started(1, 1)[0]._replace(epoch=NoColumn())  # type: ignore[arg-type]
    with pytest.raises((sqlite3.Error, TypeError)) as raised:
        journal.append([event])
    assert not isinstance(raised.value, JournalError)
    assert positions(journal.append(started(2, 2))) == [1]


@pytest.mark.parametrize("column", ["record", "status"])
def test_stored_data_that_can_not_be_decoded_is_damage(journal: SqliteJournal, column: str) -> None:
    journal.append(started(1, 1))
    journal._writer.execute(f"UPDATE files SET {column} = 'torn'")
    with pytest.raises(JournalError, match="is damaged"):
        journal.files(FileQuery())


def test_a_gap_is_stored_and_its_state_updates_the_files(path: Path) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("before", "1")
    known = recorder.changes
    recorder.items.clear()
    for n in range(5):
        pipeline.skip_file(f"dropped {n}", "no text")
    pipeline.add_processing_file("in flight", "2")
    marked = EventOverflow().after_gap(core_of(pipeline).status_event())
    assert marked is not None
    with closing(SqliteJournal(path)) as first:
        first.append(known)
        assert first.has_all_files()
        (entry,) = first.append([marked])
        assert entry.position == len(known) + 1 <= first.newest
        assert_saved(first.saved_states()[pipeline.pipeline_id], pipeline)
        assert {row.file["name"] for row in first.files(FileQuery())} >= {"before", "in flight"}
    with closing(SqliteJournal(path)) as again:
        assert not again.has_all_files()
        (read,) = again.read(len(known), 10)
        assert json.loads(read.text)["gap"] is True
        assert is_gap(read.event)


def test_a_summary_is_not_an_entry_but_its_fields_are_stored(path: Path) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="idle", check_interval=60)
    with closing(SqliteJournal(path)) as first:
        first.append(recorder.events)
        newest = first.newest
        status = core_of(pipeline).status_event()
        assert isinstance(status.body, StateBody)
        later = status._replace(body=status.body._replace(last_check_time=1_700_000_000.0, is_checking=True))
        (entry,) = first.append([later])
        assert (entry.position, first.newest, len(first.read(0, 100))) == (newest, newest, newest)
    with closing(SqliteJournal(path)) as again:
        (saved,) = again.saved_states().values()
        assert (saved.fields["last_check_time"], saved.fields["is_checking"]) == (1_700_000_000.0, True)
        assert saved.seq == pipeline.get()["seq"]


def test_the_newest_status_of_each_pipeline_and_namespace_is_known(journal: SqliteJournal) -> None:
    pipeline, recorder = recorded()
    for n in range(3):
        pipeline.update(own={"n": n})
        pipeline.skip_file(f"f{n}", "no text")
    journal.append(recorder.changes)
    newest = max(entry.position for entry in journal.read(0, 100) if entry.event.name == STATUS)
    found = journal.newest_statuses()
    assert {key[0] for key in found} == {pipeline.pipeline_id}
    assert set(found.values()) == {newest}
