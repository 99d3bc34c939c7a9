"""The fetcher: what a store has, read on a thread of its own and handed back through the one who asked."""

from __future__ import annotations

from rag_pipeline.contract import events
from rag_pipeline.journal import Entry
from rag_pipeline.journal.fetcher import FETCH_EVENTS, Fetcher
from rag_pipeline.status import PipelineStatus, core_of
from tests.journal.stores import ScriptedStore
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

Answer = tuple[list[Entry] | None, int]


def store_with(count: int) -> ScriptedStore:
    store, recorder = ScriptedStore(), Recorder()
    pipeline = PipelineStatus("local_files", "fetched")
    core_of(pipeline).attach(recorder)
    for n in range(count):
        pipeline.update(own={"n": n})
    pipeline.close()
    store.append(recorder.changes)
    return store


def ask(store: ScriptedStore, position: int, namespace: str = events.NS_PIPELINE) -> Answer:
    answers: list[Answer] = []
    fetcher = Fetcher(store, lambda function: function())
    fetcher.fetch(position, namespace, lambda *answer: answers.append(answer))
    wait_until(lambda: bool(answers))
    fetcher.stop()
    return answers[0]


def test_a_page_ends_where_the_next_begins() -> None:
    entries, end = ask(store_with(2 * FETCH_EVENTS), 10)
    assert entries is not None
    assert [entry.position for entry in entries] == list(range(11, 11 + FETCH_EVENTS))
    assert end == 10 + FETCH_EVENTS


def test_the_last_page_ends_at_the_newest_event() -> None:
    entries, end = ask(store_with(20), 15)
    assert entries is not None
    assert ([entry.position for entry in entries], end) == ([16, 17, 18, 19, 20], 20)
    assert ask(store_with(20), 15, events.NS_GOOGLE_DRIVE) == ([], 20)


def test_what_was_removed_is_told() -> None:
    store = store_with(20)
    store.floor = 16
    assert ask(store, 15) == (None, 20)


def test_a_store_that_fails_has_nothing_to_give() -> None:
    store = store_with(20)
    store.broken = "the disk is gone"
    assert ask(store, 15) == (None, 20)


def test_stopping_one_that_was_never_asked_is_fine() -> None:
    Fetcher(ScriptedStore(), lambda function: function()).stop()
