from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rag_pipeline.contract.events import NS_GOOGLE_DRIVE, NS_LOCAL_FILES, NS_PIPELINE, Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Journal, offset_of
from rag_pipeline.journal.redis.connection import RedisUnavailableError
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import Keys
from rag_pipeline.status import PipelineStatus, core_of
from rag_pipeline.status.model import FileBody, FileRecord, StateBody, Totals
from tests.journal.driving import assert_saved, recorded
from tests.journal.redis_server import RedisServer, needs_redis, running

pytestmark = needs_redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@pytest.fixture
def journal(server: RedisServer) -> Iterator[RedisJournal]:
    link = server.link()
    link.call("FLUSHALL")
    link.close()
    opened = RedisJournal(server.url)
    yield opened
    opened.close()


def event(seq: int, pipeline_id: str = "p", *, numbered: bool = True, namespace: str = NS_LOCAL_FILES) -> Event:
    body = FileBody(FileRecord(f"file {seq}", None), Totals())
    name = "pipeline:file_completed"
    return Event(name, (namespace, NS_PIPELINE), pipeline_id, None, "e", seq, float(seq), body, numbered)


def status(seq: int, pipeline_id: str = "p") -> Event:
    """Return a status that sums up."""
    shown = core_of(PipelineStatus("local_files", pipeline_id)).status_event()
    assert isinstance(shown.body, StateBody)
    return shown._replace(epoch="e", seq=seq, body=shown.body._replace(epoch="e", seq=seq))


def events(first: int, last: int) -> list[Event]:
    return [event(seq) for seq in range(first, last + 1)]


def test_it_is_a_journal(journal: RedisJournal) -> None:
    as_protocol: Journal = journal
    assert as_protocol.newest == 0
    assert as_protocol.read(0, 10) == []
    assert as_protocol.size() == {"kind": "redis", "events": 0, "redis": str(journal.address)}


def test_what_was_appended_is_read_in_order_from_anywhere(journal: RedisJournal) -> None:
    kept = journal.append(events(1, 5))
    found = journal.read(0, 10)
    assert [(e.position, e.event.seq) for e in found] == [(e.position, e.event.seq) for e in kept]
    assert [e.text for e in found] == [e.text for e in kept]
    assert found[0].event.payload() == kept[0].event.payload()
    assert [e.event.seq for e in journal.read(kept[1].position, 2)] == [3, 4]
    assert journal.newest == kept[-1].position
    lineage = journal.lineage
    assert lineage.position_of(offset_of(lineage.identity, journal.newest)) == journal.newest


def test_statuses_that_sum_up_are_not_read_and_not_counted(journal: RedisJournal) -> None:
    journal.append([event(1), event(1, numbered=False), event(2), event(2, numbered=False)])
    assert [e.event.seq for e in journal.read(0, 10)] == [1, 2]
    assert journal.size()["events"] == 2


def test_a_namespace_is_read_alone_however_far_its_events_lie_apart(journal: RedisJournal) -> None:
    journal.append([event(1, "q", namespace=NS_GOOGLE_DRIVE)])
    for start in range(1, 2501, 500):
        journal.append(events(start, start + 499))
    journal.append([event(2, "q", namespace=NS_GOOGLE_DRIVE)])
    assert [e.event.seq for e in journal.read(0, 10, NS_GOOGLE_DRIVE)] == [1, 2]
    assert len(journal.read(0, 10_000, NS_PIPELINE)) == 2502
    assert len(journal.read(0, 1001, NS_PIPELINE)) == 1001


def test_it_reaches_back_to_what_was_not_trimmed(server: RedisServer, journal: RedisJournal) -> None:
    kept = journal.append(events(1, 10))
    assert journal.reaches(0)
    assert journal.reaches(kept[-1].position)
    assert not journal.reaches(kept[-1].position + 1)
    assert not journal.reaches(-1)
    assert not journal.reaches(2**128)
    link = server.link()
    link.call("XTRIM", Keys().events, "MAXLEN", 4)
    link.close()
    assert [journal.reaches(e.position) for e in kept] == [False] * 6 + [True] * 4
    assert not journal.reaches(0)
    assert journal.size()["events"] == 4


def test_an_emptied_redis_has_another_identity(server: RedisServer, journal: RedisJournal) -> None:
    journal.append([event(1)])
    before = journal.lineage
    assert before == RedisJournal(server.url).lineage
    link = server.link()
    link.call("FLUSHALL")
    link.close()
    assert journal.lineage.identity != before.identity
    assert journal.lineage.former == {}
    with pytest.raises(JournalError, match=r"was emptied$"):
        journal.append([event(2)])


def test_a_state_is_saved_over_any_number_of_journals(server: RedisServer, journal: RedisJournal) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running", own={"mine": {"a": [1]}})
    pipeline.add_processing_file("a")
    journal.append(recorder.events)
    journal.close()
    again = RedisJournal(server.url)
    assert_saved(again.saved()["p"], pipeline)
    again.close()


def test_a_pipeline_of_another_journal_can_not_be_appended_to(server: RedisServer, journal: RedisJournal) -> None:
    journal.append([event(1)])
    other = RedisJournal(server.url)
    with pytest.raises(JournalError, match=r"^pipeline 'p' is published by process \d+ on host .+ already$"):
        other.append([event(2)])
    journal.close()
    other.append([event(2)])
    assert [e.event.seq for e in other.read(0, 10)] == [1, 2]
    other.close()


def test_a_lease_that_ran_out_between_two_appends_is_taken_back(server: RedisServer, journal: RedisJournal) -> None:
    journal.append([event(1)])
    link = server.link()
    link.call("DEL", Keys().owner("p"))
    link.close()
    journal.append([event(2)])
    assert [e.event.seq for e in journal.read(0, 10)] == [1, 2]


def test_any_number_of_threads_may_ask_at_once(journal: RedisJournal) -> None:
    journal.append(events(1, 300))
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(journal.read(0, 1000)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [300] * 20


def test_prefixes_keep_journals_apart(server: RedisServer, journal: RedisJournal) -> None:
    other = RedisJournal(server.url, prefix="other")
    journal.append([event(1)])
    assert other.read(0, 10) == []
    assert other.lineage.identity != journal.lineage.identity
    other.close()


def test_a_closed_journal_says_so(journal: RedisJournal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match=r"^the journal is closed$"):
        journal.read(0, 1)


def test_a_server_that_comes_back_is_used_again(server: RedisServer, journal: RedisJournal) -> None:
    journal.append([event(1)])
    server.kill()
    with pytest.raises(RedisUnavailableError):
        journal.read(0, 1)
    server.start()
    assert [e.event.seq for e in journal.read(0, 10)] == [1]
    server.restart()  # unnoticed
    journal.append([event(2)])
    assert [e.event.seq for e in journal.read(0, 10)] == [1, 2]


def test_a_wrong_url_is_told_before_anything_is_asked() -> None:
    with pytest.raises(JournalError, match=r"^the Redis URL must begin with"):
        RedisJournal("http://127.0.0.1")


def test_the_policy_for_a_short_memory_is_told(server: RedisServer, journal: RedisJournal) -> None:
    assert journal.eviction_policy() == "noeviction"
    link = server.link()
    link.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert journal.eviction_policy() == "allkeys-lru"
    link.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    link.close()
