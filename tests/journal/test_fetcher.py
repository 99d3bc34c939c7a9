"""The fetcher reads on its own thread and returns results through the caller's."""

from __future__ import annotations

from rag_pipeline.contract import events
from rag_pipeline.journal import Entry
from rag_pipeline.journal.fetcher import FETCH_EVENTS, Fetcher
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.stores import ScriptedJournal
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

Answer = tuple[list[Entry] | None, int]


def journal_with(count: int) -> ScriptedJournal:
    store, recorder = ScriptedJournal(), Recorder()
    pipeline = PipelineStatus("local_files", "fetched")
    core_of(pipeline).attach(recorder)
    for n in range(count):
        pipeline.update(own={"n": n})
    pipeline.close()
    store.append(recorder.changes)
    return store


def ask(store: ScriptedJournal, position: int, namespace: str = events.NS_PIPELINE) -> Answer:
    answers: list[Answer] = []
    fetcher = Fetcher(store, lambda function: function())
    fetcher.fetch(position, namespace, lambda *answer: answers.append(answer))
    wait_until(lambda: bool(answers))
    fetcher.stop()
    return answers[0]


def test_a_page_ends_where_the_next_begins() -> None:
    entries, end = ask(journal_with(2 * FETCH_EVENTS), 10)
    assert entries is not None
    assert [entry.position for entry in entries] == list(range(11, 11 + FETCH_EVENTS))
    assert end == 10 + FETCH_EVENTS


def test_the_last_page_ends_at_the_newest_event() -> None:
    entries, end = ask(journal_with(20), 15)
    assert entries is not None
    assert ([entry.position for entry in entries], end) == ([16, 17, 18, 19, 20], 20)
    assert ask(journal_with(20), 15, events.NS_GOOGLE_DRIVE) == ([], 20)


def test_removed_entries_are_noticed() -> None:
    store = journal_with(20)
    store.floor = 16
    assert ask(store, 15) == (None, 20)


def test_a_failing_journal_returns_no_entries() -> None:
    store = journal_with(20)
    store.broken = "the disk is gone"
    assert ask(store, 15) == (None, 20)


def test_stopping_an_unused_fetcher_is_fine() -> None:
    Fetcher(ScriptedJournal(), lambda function: function()).stop()
