"""The keeper: a tail alone, or a store behind it; and going on in memory where the store can't be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileQuery
from rag_pipeline.journal.backend import PRELOAD_EVENTS, Keeper, Passed
from rag_pipeline.journal.base import LocalJournal
from rag_pipeline.journal.tail import TAIL_EVENTS
from rag_pipeline.status import PipelineStatus, SavedState, Sink, core_of
from rag_pipeline.status.model import Totals
from tests.journal.stores import ScriptedStore
from tests.journal.test_fetcher import store_with
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

SAVED = SavedState("kept", "local_files", "epoch", 7, {}, {}, Totals(3))


class Setup:
    """A keeper connected to a hub that only notes what it gets."""

    def __init__(self, store: LocalJournal | None) -> None:
        self.passed: list[Passed] = []
        self.journals: list[str] = []
        self.dropped = 0
        self.pipeline = PipelineStatus("local_files", "kept")
        self.keeper = Keeper(None if store is None else lambda: store)
        self.sink: Sink | None = self.keeper.connect(
            self.passed.append,
            lambda function: function(),
            begin_journal=lambda generations, _newest, _entries: self.journals.append(generations.identity),
            dropped=lambda: self.dropped,
            mark_stalled=lambda _ids: None,
            pipelines=lambda: [core_of(self.pipeline)],
        )
        self.keeper.start()

    def close(self) -> None:
        self.pipeline.close()
        self.keeper.stop()


def test_without_a_store_pipelines_publish_to_the_hub_itself() -> None:
    setup = Setup(None)
    assert setup.sink is None
    assert setup.keeper.describe() == {"status": "ok", "kind": "memory", "events": 0}
    assert setup.keeper.restore("kept") is None
    setup.close()


def test_with_a_store_events_pass_it_first() -> None:
    store = ScriptedStore()
    setup = Setup(store)
    assert setup.sink is not None
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(status="running")
    setup.close()
    assert [entry.position for entry in setup.passed if isinstance(entry, Entry) and entry.event.numbered] == [1]
    assert store.closed


def test_the_tail_begins_with_what_the_store_has() -> None:
    setup = Setup(store_with(20))
    assert (setup.keeper.tail.newest, setup.keeper.tail.start, len(setup.keeper.tail)) == (20, 0, 20)
    assert [entry.position for entry in setup.keeper.read(17, 10, events.NS_PIPELINE)] == [18, 19, 20]
    setup.close()


def test_what_the_tail_does_not_reach_comes_from_the_store() -> None:
    setup = Setup(store_with(TAIL_EVENTS + 5))
    assert setup.keeper.tail.start == TAIL_EVENTS + 5 - PRELOAD_EVENTS
    assert setup.keeper.reaches(2)
    assert not setup.keeper.reaches(TAIL_EVENTS + 6)
    assert [entry.position for entry in setup.keeper.read(2, 2, events.NS_PIPELINE)] == [3, 4]
    answers: list[tuple[list[Entry] | None, int]] = []
    setup.keeper.fetch(TAIL_EVENTS, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    wait_until(lambda: bool(answers))
    assert answers[0][0] is not None
    assert len(answers[0][0]) == 5
    setup.close()


def test_a_pipeline_goes_on_once_from_what_was_saved() -> None:
    store = ScriptedStore()
    store.known["kept"] = SAVED
    setup = Setup(store)
    assert setup.keeper.restore("kept") == SAVED
    assert setup.keeper.restore("kept") is None
    setup.close()


def test_a_store_that_can_not_be_opened_leaves_memory(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> LocalJournal:
        raise JournalError("journal.sqlite3 is damaged")

    keeper = Keeper(refuse)
    assert caplog.messages == ["journal.sqlite3 is damaged; events are kept in memory only"]
    assert keeper.describe() == {
        "status": "degraded",
        "kind": "memory",
        "events": 0,
        "error": "journal.sqlite3 is damaged",
    }
    keeper.stop()


def test_a_store_that_can_not_be_read_at_the_start_is_closed_and_left() -> None:
    store = ScriptedStore()
    store.broken = "it can't be read"
    setup = Setup(store)
    assert setup.sink is None
    assert store.closed
    assert setup.keeper.degraded == "it can't be read"
    setup.close()


def test_a_store_that_fails_later_is_left_with_its_numbering() -> None:
    store = store_with(3)
    store.known["other"] = SAVED
    setup = Setup(store)
    assert setup.sink is not None
    core_of(setup.pipeline).attach(setup.sink)
    setup.pipeline.update(own={"n": 1})
    wait_until(lambda: bool(setup.passed))
    store.broken = "the disk is full"
    setup.pipeline.update(own={"n": 2})
    wait_until(lambda: any(isinstance(item, Event) for item in setup.passed))
    assert len(setup.journals) == 1
    assert setup.journals[0] != store.generations.identity
    assert setup.keeper.stored is None
    assert setup.keeper.restore("other") is None, "it would bring the old epoch back"
    told = setup.keeper.describe()
    assert (told["status"], told["error"]) == ("degraded", "the disk is full")
    answers: list[object] = []
    setup.keeper.fetch(1, events.NS_PIPELINE, lambda *answer: answers.append(answer))
    assert answers == [(None, 1)]
    setup.close()


def test_files_come_from_the_store_or_from_the_tail() -> None:
    setup = Setup(None)
    core_of(setup.pipeline).attach(_Numbering(setup.keeper))
    setup.pipeline.skip_file("a", "no text")
    (row,) = setup.keeper.files(FileQuery())
    assert (row.file["name"], row.status) == ("a", "skipped")
    setup.close()


class _Numbering:
    """Does what the hub does with events that no store has numbered."""

    def __init__(self, keeper: Keeper) -> None:
        self._tail = keeper.tail

    def publish_all(self, items: Iterator[object]) -> None:
        for item in items:
            if isinstance(item, Event):
                self._tail.number(item)


def test_what_is_read_at_the_start_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    store, recorder = ScriptedStore(), Recorder()
    pipeline = PipelineStatus("local_files", "large")
    core_of(pipeline).attach(recorder)
    for n in range(1000):
        pipeline.complete_file(f"f{n}", result="x" * 200_000)
    pipeline.close()
    store.append(recorder.changes)
    setup = Setup(store)
    tail = setup.keeper.tail
    assert tail.newest == 1000
    assert 0 < len(tail) <= PRELOAD_EVENTS
    assert tail.start == 1000 - len(tail)
    setup.close()


def test_an_error_that_nobody_foresaw_at_the_start_does_not_stop_it(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> LocalJournal:
        raise TypeError("ours")

    keeper = Keeper(refuse)
    assert keeper.degraded == "the journal can't be opened (TypeError: ours)"
    assert "damaged" not in caplog.text
    keeper.stop()


def test_what_was_dropped_on_the_way_degrades_the_health_and_the_files() -> None:
    for store in (None, ScriptedStore()):
        setup = Setup(store)
        assert (setup.keeper.describe()["status"], setup.keeper.has_all_files()) == ("ok", True)
        setup.dropped = 7
        described = setup.keeper.describe()
        assert (described["status"], described["dropped"], setup.keeper.has_all_files()) == ("degraded", 7, False)
        assert described["error"].startswith("7 events were dropped")
        setup.close()
