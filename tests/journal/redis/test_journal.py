from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rag_pipeline.contract.events import NS_GOOGLE_DRIVE, NS_LOCAL_FILES, NS_PIPELINE, PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import offset_of
from rag_pipeline.journal.base import JournalReader
from rag_pipeline.journal.redis.connection import RedisUnavailableError
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.status.model import FileBody, FileRecord, FileTotals, StateBody
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.driving import assert_saved, recorded
from tests.journal.redis_appender import RedisAppender
from tests.journal.redis_server import RedisServer, needs_redis, running

pytestmark = needs_redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@pytest.fixture
def journal(server: RedisServer) -> Iterator[RedisAppender]:
    connection = server.connection()
    connection.call("FLUSHALL")
    connection.close()
    opened = RedisAppender(server.url)
    yield opened
    opened.close()


def event(seq: int, pipeline_id: str = "p", *, numbered: bool = True, namespace: str = NS_LOCAL_FILES) -> PipelineEvent:
    body = FileBody(FileRecord(f"file {seq}", None), FileTotals())
    name = "pipeline:file_completed"
    return PipelineEvent(name, (namespace, NS_PIPELINE), pipeline_id, None, "e", seq, float(seq), body, numbered)


def status(seq: int, pipeline_id: str = "p") -> PipelineEvent:
    """Return a summary."""
    shown = core_of(PipelineStatus("local_files", pipeline_id)).status_event()
    assert isinstance(shown.body, StateBody)
    return shown._replace(epoch="e", seq=seq, body=shown.body._replace(epoch="e", seq=seq))


def events(first: int, last: int) -> list[PipelineEvent]:
    return [event(seq) for seq in range(first, last + 1)]


def test_it_is_a_journal(journal: RedisAppender) -> None:
    as_protocol: JournalReader = journal
    assert as_protocol.newest == 0
    assert as_protocol.read(0, 10) == []
    assert journal.count() == 0


def test_appended_events_are_read_in_order_from_any_position(journal: RedisAppender) -> None:
    kept = journal.append(events(1, 5))
    found = journal.read(0, 10)
    assert [(e.position, e.event.seq) for e in found] == [(e.position, e.event.seq) for e in kept]
    assert [e.text for e in found] == [e.text for e in kept]
    assert found[0].event.payload() == kept[0].event.payload()
    assert [e.event.seq for e in journal.read(kept[1].position, 2)] == [3, 4]
    assert journal.newest == kept[-1].position
    generations = journal.generations
    assert generations.position_of(offset_of(generations.identity, journal.newest)) == journal.newest


def test_summaries_are_not_read_and_not_counted(journal: RedisAppender) -> None:
    journal.append([event(1), event(1, numbered=False), event(2), event(2, numbered=False)])
    assert [e.event.seq for e in journal.read(0, 10)] == [1, 2]
    assert journal.count() == 2


@pytest.mark.slow
def test_a_namespace_is_read_alone_however_far_apart_its_events_are(journal: RedisAppender) -> None:
    journal.append([event(1, "q", namespace=NS_GOOGLE_DRIVE)])
    for start in range(1, 2501, 500):
        journal.append(events(start, start + 499))
    journal.append([event(2, "q", namespace=NS_GOOGLE_DRIVE)])
    assert [e.event.seq for e in journal.read(0, 10, NS_GOOGLE_DRIVE)] == [1, 2]
    assert len(journal.read(0, 10_000, NS_PIPELINE)) == 2502
    assert len(journal.read(0, 1001, NS_PIPELINE)) == 1001


def test_it_reaches_back_to_the_trimmed_entries(server: RedisServer, journal: RedisAppender) -> None:
    kept = journal.append(events(1, 10))
    assert journal.reaches(0)
    assert journal.reaches(kept[-1].position)
    assert not journal.reaches(kept[-1].position + 1)
    assert not journal.reaches(-1)
    assert not journal.reaches(2**128)
    connection = server.connection()
    connection.call("XTRIM", RedisKeys().events, "MAXLEN", 4)
    connection.close()
    assert [journal.reaches(e.position) for e in kept] == [False] * 6 + [True] * 4
    assert not journal.reaches(0)
    assert journal.count() == 4


def test_an_emptied_redis_has_another_identity(server: RedisServer, journal: RedisAppender) -> None:
    journal.append([event(1)])
    before = journal.generations
    assert before == RedisAppender(server.url).generations
    connection = server.connection()
    connection.call("FLUSHALL")
    connection.close()
    assert journal.generations.identity != before.identity
    assert journal.generations.former == {}
    with pytest.raises(JournalError, match=r"was emptied$"):
        journal.append([event(2)])


def test_a_saved_state_is_read_by_another_journal(server: RedisServer, journal: RedisAppender) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running", own={"mine": {"a": [1]}})
    pipeline.add_processing_file("a")
    journal.append(recorder.events)
    journal.close()
    again = RedisAppender(server.url)
    assert_saved(again.saved_states()["p"], pipeline)
    again.close()


def test_a_pipeline_that_another_owner_has_can_not_be_appended_to(server: RedisServer, journal: RedisAppender) -> None:
    journal.append([event(1)])
    other = RedisAppender(server.url)
    with pytest.raises(JournalError, match=r"^pipeline 'p' is published by process \d+ on host .+ already$"):
        other.append([event(2)])
    journal.close()
    other.append([event(2)])
    assert [e.event.seq for e in other.read(0, 10)] == [1, 2]
    other.close()


def test_an_expired_lease_is_claimed_again_by_the_next_append(server: RedisServer, journal: RedisAppender) -> None:
    journal.append([event(1)])
    connection = server.connection()
    connection.call("DEL", RedisKeys().owner("p"))
    connection.close()
    journal.append([event(2)])
    assert [e.event.seq for e in journal.read(0, 10)] == [1, 2]


def test_many_threads_may_read_at_once(journal: RedisAppender) -> None:
    journal.append(events(1, 300))
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(journal.read(0, 1000)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [300] * 20


def test_prefixes_separate_journals(server: RedisServer, journal: RedisAppender) -> None:
    other = RedisAppender(server.url, prefix="other")
    journal.append([event(1)])
    assert other.read(0, 10) == []
    assert other.generations.identity != journal.generations.identity
    other.close()


def test_a_closed_journal_says_so(journal: RedisAppender) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match=r"^the journal is closed$"):
        journal.read(0, 1)


def test_a_restarted_server_is_used_again(server: RedisServer, journal: RedisAppender) -> None:
    journal.append([event(1)])
    server.kill()
    with pytest.raises(RedisUnavailableError):
        journal.read(0, 1)
    server.start()
    assert [e.event.seq for e in journal.read(0, 10)] == [1]
    server.restart()  # between two calls
    journal.append([event(2)])
    assert [e.event.seq for e in journal.read(0, 10)] == [1, 2]


def test_a_wrong_url_is_reported_before_a_connection_is_made() -> None:
    with pytest.raises(JournalError, match=r"^the Redis URL must begin with"):
        RedisAppender("http://127.0.0.1")


def test_the_eviction_policy_is_read(server: RedisServer, journal: RedisAppender) -> None:
    assert journal.eviction_policy() == "noeviction"
    connection = server.connection()
    connection.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert journal.eviction_policy() == "allkeys-lru"
    connection.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    connection.close()
