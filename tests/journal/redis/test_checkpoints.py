"""Driven by Hypothesis through a real pipeline, and read back from a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.contract.events import Event
from rag_pipeline.journal import Entry, FileQuery, FileStatus
from rag_pipeline.journal.history import files_of
from rag_pipeline.journal.redis.checkpoints import saved_states
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import Keys
from rag_pipeline.status import core_of
from tests.journal.driving import TEXTS, Step, assert_saved, file_steps, recorded, steps, take
from tests.journal.redis_server import RedisServer, needs_redis, running

pytestmark = needs_redis

prefixes = (f"t{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data", "--appendonly", "no") as started:
        yield started


@settings(max_examples=100)
@given(st.lists(steps, min_size=1, max_size=60), st.integers(1, 12))
def test_what_is_saved_is_the_state_of_the_pipeline(server: RedisServer, taken: list[Step], batch: int) -> None:
    pipeline, recorder = recorded()
    for step in taken:
        take(pipeline, step)
    core_of(pipeline).flush(everything=True)
    journal = RedisJournal(server.url, prefix=next(prefixes))
    for start in range(0, len(recorder.events), batch):
        journal.append(recorder.events[start : start + batch])
    assert_saved(journal.saved()["p"], pipeline)
    journal.close()


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(["p", "q"]), file_steps), max_size=30),
    st.sampled_from([None, *FileStatus]),
    st.sampled_from([None, *TEXTS]),
    st.sampled_from([None, "p", "q", "none"]),
    st.integers(0, 5),
)
def test_files_are_found_as_their_events_tell(
    server: RedisServer,
    taken: list[tuple[str, Step]],
    status: FileStatus | None,
    text: str | None,
    pipeline_id: str | None,
    limit: int,
) -> None:
    journal = RedisJournal(server.url, prefix=next(prefixes))
    pipelines = {name: recorded(name) for name in ("p", "q")}
    entries: list[Entry] = []
    for name, step in taken:
        pipeline, recorder = pipelines[name]
        take(pipeline, step)
        entries += journal.append(recorder.events)
        recorder.items.clear()
    wanted = FileQuery(status, text, pipeline_id, None, limit)
    everything = files_of(entries, wanted._replace(limit=1000))
    # By pages, as a client turns them.
    found, page = [], journal.files(wanted)
    while page:
        assert len(page) <= limit
        found += page
        page = journal.files(wanted._replace(before=page[-1].position))
    assert found == (everything if limit else [])
    journal.close()


def test_files_in_flight_are_in_the_order_they_were_started_in(server: RedisServer) -> None:
    pipeline, recorder = recorded()
    for name in ("a", "b", "c"):
        pipeline.add_processing_file(name)
    pipeline.file_progress("a", "reading", 0.5)
    pipeline.add_processing_file("b")
    journal = RedisJournal(server.url, prefix=next(prefixes))
    journal.append(recorder.events)
    assert [file.name for file in journal.saved()["p"].in_flight] == ["a", "c", "b"]
    assert [row.file["name"] for row in journal.files(FileQuery())] == ["b", "a", "c"]
    journal.close()


def test_a_file_whose_id_was_known_only_at_its_end_is_not_in_flight_any_more(server: RedisServer) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    pipeline.complete_file("a", False, file_id="7", error="no")
    journal = RedisJournal(server.url, prefix=next(prefixes))
    journal.append(recorder.events)
    assert_saved(journal.saved()["p"], pipeline)
    assert [(row.file["id"], row.status) for row in journal.files(FileQuery())] == [("7", FileStatus.FAILED)]
    journal.close()


def test_a_page_reaches_past_files_that_do_not_fit(server: RedisServer) -> None:
    journal = RedisJournal(server.url, prefix=next(prefixes))
    pipeline, recorder = recorded()
    pipeline.skip_file("wante\u0301d", "too large")
    for n in range(450):
        pipeline.skip_file(f"other {n}", "too large")
    events = recorder.events
    for start in range(0, len(events), 100):
        journal.append(events[start : start + 100])
    assert [row.file["name"] for row in journal.files(FileQuery(text="WANTÉD"))] == ["wante\u0301d"]
    assert len(journal.files(FileQuery(limit=10_000))) == 451
    journal.close()


def test_a_pipeline_that_has_only_been_claimed_has_nothing_to_go_on_from(server: RedisServer) -> None:
    prefix = next(prefixes)
    journal = RedisJournal(server.url, prefix=prefix)
    journal._claim({"epoch"})
    assert journal.saved() == {}
    journal.close()


def test_a_pipeline_known_from_file_events_alone_has_the_fields_of_a_new_one(server: RedisServer) -> None:
    prefix = next(prefixes)
    journal = RedisJournal(server.url, prefix=prefix)
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    events: list[Event] = recorder.changes
    journal.append(events)
    link = server.link()
    fields = saved_states(link, Keys(prefix))["p"].fields
    link.close()
    assert fields["status"] == "initializing"
    assert fields["started_at"] == fields["last_activity"] == events[0].at
    journal.close()
