from __future__ import annotations

import pytest

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileQuery
from rag_pipeline.journal.backend import HubHandle, JournalBackend
from rag_pipeline.journal.base import LocalJournal
from rag_pipeline.journal.sqlite.backend import PRELOAD_EVENTS, SqliteBackend
from rag_pipeline.journal.tail import TAIL_EVENTS
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.saved import SavedState
from tests.journal.stores import RecordingMailbox, ScriptedJournal
from tests.journal.test_fetcher import journal_with
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

SAVED = SavedState("kept", "local_files", "epoch", 7, {}, {}, FileTotals(3))


class Setup:
    """A backend connected to a hub that only records."""

    def __init__(self, journal: LocalJournal) -> None:
        self.delivered: list[object] = []
        self.journals: list[str] = []
        self.mailbox = RecordingMailbox(self.delivered.append)
        self.pipeline = PipelineStatus("local_files", "kept")
        self.backend = SqliteBackend(lambda: journal)
        hub = HubHandle(
            self.mailbox,
            lambda function: function(),
            begin_journal=lambda generations, _newest, _entries: self.journals.append(generations.identity),
            mark_stalled=lambda _ids: None,
            pipelines=lambda: [core_of(self.pipeline)],
        )
        self.sink = self.backend.connect(hub)
        self.backend.start()

    def close(self) -> None:
        self.pipeline.close()
        self.backend.stop()


def test_it_is_a_backend() -> None:
    setup = Setup(ScriptedJournal())
    backend: JournalBackend = setup.backend
    assert not backend.shared
    assert backend.writer is setup.sink
    assert backend.describe() == {"status": "ok", "kind": "scripted", "events": 0, "queued": 0}
    assert backend.claim(["kept"]) == frozenset()
    setup.close()


def test_events_are_stored_before_the_hub_gets_them() -> None:
    journal = ScriptedJournal()
    setup = Setup(journal)
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(status="running")
    setup.close()
    assert [item.position for item in setup.delivered if isinstance(item, Entry) and item.event.numbered] == [1]
    assert journal.closed


def test_the_tail_begins_with_the_stored_events() -> None:
    setup = Setup(journal_with(20))
    assert (setup.backend.tail.newest, setup.backend.tail.start, len(setup.backend.tail)) == (20, 0, 20)
    assert [entry.position for entry in setup.backend.read(17, 10, events.NS_PIPELINE)] == [18, 19, 20]
    setup.close()


@pytest.mark.slow
def test_older_events_than_the_tail_has_are_read_from_the_journal() -> None:
    setup = Setup(journal_with(TAIL_EVENTS + 5))
    assert setup.backend.tail.start == TAIL_EVENTS + 5 - PRELOAD_EVENTS
    assert setup.backend.reaches(2)
    assert not setup.backend.reaches(TAIL_EVENTS + 6)
    assert [entry.position for entry in setup.backend.read(2, 2, events.NS_PIPELINE)] == [3, 4]
    answers: list[tuple[list[Entry] | None, int]] = []
    setup.backend.fetch(TAIL_EVENTS, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    wait_until(lambda: bool(answers))
    assert answers[0][0] is not None
    assert len(answers[0][0]) == 5
    setup.close()


def test_a_saved_state_is_returned_once() -> None:
    journal = ScriptedJournal()
    journal.known["kept"] = SAVED
    setup = Setup(journal)
    assert setup.backend.restore("kept") == SAVED
    assert setup.backend.restore("kept") is None
    setup.close()


def test_if_the_journal_can_not_be_opened_events_are_kept_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> LocalJournal:
        raise JournalError("journal.sqlite3 is damaged")

    backend = SqliteBackend(refuse)
    assert caplog.messages == ["journal.sqlite3 is damaged; events are kept in memory only"]
    assert backend.describe() == {
        "status": "degraded",
        "kind": "memory",
        "events": 0,
        "error": "journal.sqlite3 is damaged",
    }
    assert not backend.has_all_files()
    backend.stop()


def test_if_the_journal_can_not_be_read_at_the_start_it_is_closed() -> None:
    journal = ScriptedJournal()
    journal.broken = "it can't be read"
    setup = Setup(journal)
    assert setup.sink is setup.mailbox
    assert setup.backend.writer is None
    assert journal.closed
    assert setup.backend.degraded == "it can't be read"
    setup.close()


def test_a_journal_that_fails_later_is_given_up_with_its_numbering() -> None:
    journal = journal_with(3)
    journal.known["other"] = SAVED
    setup = Setup(journal)
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(own={"n": 1})
    wait_until(lambda: bool(setup.delivered))
    journal.broken = "the disk is full"
    setup.pipeline.update(own={"n": 2})
    wait_until(lambda: any(isinstance(item, PipelineEvent) for item in setup.delivered))
    assert len(setup.journals) == 1
    assert setup.journals[0] != journal.generations.identity
    assert setup.backend.journal is None
    assert setup.backend.restore("other") is None, "it would bring the old epoch back"
    shown = setup.backend.describe()
    assert (shown["status"], shown["error"]) == ("degraded", "the disk is full")
    answers: list[object] = []
    setup.backend.fetch(1, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    assert answers == [(None, 1)]
    setup.close()


def test_files_are_listed_from_the_journal() -> None:
    journal, recorder = ScriptedJournal(), Recorder()
    pipeline = PipelineStatus("local_files", "listed")
    core_of(pipeline).attach(recorder)
    pipeline.skip_file("a", "no text")
    pipeline.close()
    journal.append(recorder.changes)
    setup = Setup(journal)
    (row,) = setup.backend.files(FileQuery())
    assert (row.file["name"], row.status) == ("a", "skipped")
    setup.close()


def test_the_preloaded_events_are_bounded_by_bytes() -> None:
    journal, recorder = ScriptedJournal(), Recorder()
    pipeline = PipelineStatus("local_files", "large")
    core_of(pipeline).attach(recorder)
    for n in range(1000):
        pipeline.complete_file(f"f{n}", result="x" * 200_000)
    pipeline.close()
    journal.append(recorder.changes)
    setup = Setup(journal)
    tail = setup.backend.tail
    assert tail.newest == 1000
    assert 0 < len(tail) <= PRELOAD_EVENTS
    assert tail.start == 1000 - len(tail)
    setup.close()


def test_an_unexpected_error_at_the_start_does_not_stop_the_service(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> LocalJournal:
        raise TypeError("a bug")

    backend = SqliteBackend(refuse)
    assert backend.degraded == "the journal can't be opened (TypeError: a bug)"
    assert "damaged" not in caplog.text
    backend.stop()


def test_dropped_events_degrade_the_health_and_the_list_of_files() -> None:
    setup = Setup(ScriptedJournal())
    assert (setup.backend.describe()["status"], setup.backend.has_all_files()) == ("ok", True)
    setup.mailbox.dropped = 7
    shown = setup.backend.describe()
    assert (shown["status"], shown["dropped"], setup.backend.has_all_files()) == ("degraded", 7, False)
    assert shown["error"].startswith("7 events were dropped")
    setup.close()
