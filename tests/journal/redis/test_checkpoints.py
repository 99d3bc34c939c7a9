"""Saved states and files, written by a pipeline that Hypothesis drives, read from a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, FileQuery, FileStatus
from rag_pipeline.journal.history import files_of
from rag_pipeline.journal.redis.checkpoints import saved_states
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.status.pipeline import core_of
from tests.journal.driving import TEXTS, Step, assert_saved, file_steps, recorded, steps, take
from tests.journal.redis_appender import RedisAppender
from tests.journal.redis_server import RedisServer, needs_redis, running

pytestmark = needs_redis

prefixes = (f"t{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data", "--appendonly", "no") as started:
        yield started


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(steps, min_size=1, max_size=60), st.integers(1, 12))
def test_the_saved_state_is_that_of_the_pipeline(server: RedisServer, taken: list[Step], batch: int) -> None:
    pipeline, recorder = recorded()
    for step in taken:
        take(pipeline, step)
    core_of(pipeline).flush(everything=True)
    journal = RedisAppender(server.url, prefix=next(prefixes))
    for start in range(0, len(recorder.events), batch):
        journal.append(recorder.events[start : start + batch])
    assert_saved(journal.saved_states()["p"], pipeline)
    journal.close()


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(["p", "q"]), file_steps), max_size=30),
    st.sampled_from([None, *FileStatus]),
    st.sampled_from([None, *TEXTS]),
    st.sampled_from([None, "p", "q", "none"]),
    st.integers(0, 5),
    st.sampled_from([None, True, False]),
)
def test_files_are_listed_as_their_events_say(
    server: RedisServer,
    taken: list[tuple[str, Step]],
    status: FileStatus | None,
    text: str | None,
    pipeline_id: str | None,
    limit: int,
    warnings: bool | None,
) -> None:
    journal = RedisAppender(server.url, prefix=next(prefixes))
    pipelines = {name: recorded(name) for name in ("p", "q")}
    entries: list[Entry] = []
    for name, step in taken:
        pipeline, recorder = pipelines[name]
        take(pipeline, step)
        entries += journal.append(recorder.events)
        recorder.items.clear()
    wanted = FileQuery(status, text, pipeline_id, None, limit, warnings)
    everything = files_of(entries, wanted._replace(limit=1000))
    # Page by page, as a client does.
    found, page = [], journal.files(wanted)
    while page:
        assert len(page) <= limit
        found += page
        page = journal.files(wanted._replace(before=page[-1].position))
    assert found == (everything if limit else [])
    journal.close()


def test_files_in_flight_are_in_the_order_of_their_start(server: RedisServer) -> None:
    pipeline, recorder = recorded()
    for name in ("a", "b", "c"):
        pipeline.add_processing_file(name)
    pipeline.file_progress("a", "reading", 0.5)
    pipeline.add_processing_file("b")
    journal = RedisAppender(server.url, prefix=next(prefixes))
    journal.append(recorder.events)
    assert [file.name for file in journal.saved_states()["p"].in_flight] == ["a", "c", "b"]
    assert [row.file["name"] for row in journal.files(FileQuery())] == ["b", "a", "c"]
    journal.close()


def test_a_file_whose_id_was_known_only_at_its_end_is_no_longer_in_flight(server: RedisServer) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    pipeline.complete_file("a", False, file_id="7", error="no")
    journal = RedisAppender(server.url, prefix=next(prefixes))
    journal.append(recorder.events)
    assert_saved(journal.saved_states()["p"], pipeline)
    assert [(row.file["id"], row.status) for row in journal.files(FileQuery())] == [("7", FileStatus.FAILED)]
    journal.close()


def test_a_page_skips_files_that_do_not_match(server: RedisServer) -> None:
    journal = RedisAppender(server.url, prefix=next(prefixes))
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


def test_a_pipeline_that_was_only_claimed_has_no_saved_state(server: RedisServer) -> None:
    prefix = next(prefixes)
    journal = RedisAppender(server.url, prefix=prefix)
    journal.claim({"epoch"})
    assert journal.saved_states() == {}
    journal.close()


def test_a_pipeline_known_only_from_file_events_has_the_fields_of_a_new_one(server: RedisServer) -> None:
    prefix = next(prefixes)
    journal = RedisAppender(server.url, prefix=prefix)
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    events: list[PipelineEvent] = recorder.changes
    journal.append(events)
    connection = server.connection()
    fields = saved_states(connection, RedisKeys(prefix))["p"].fields
    connection.close()
    assert fields["status"] == "initializing"
    assert fields["started_at"] == fields["last_activity"] == events[0].at
    journal.close()
