from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, Generations, Tail
from rag_pipeline.journal.gap import EventOverflow
from rag_pipeline.status.model import FileBody, FileRecord
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.waiting import wait_until


def event(*namespaces: str, numbered: bool = True) -> PipelineEvent:
    return PipelineEvent(
        "pipeline:file_completed", namespaces, "p", None, "e", 1, 1.0, FileBody(FileRecord("a", None)), numbered
    )


def positions(entries: list[Entry]) -> list[int]:
    return [entry.position for entry in entries]


@given(
    st.integers(0, 5), st.integers(1, 6), st.lists(st.booleans(), max_size=20), st.integers(0, 30), st.integers(0, 9)
)
def test_the_tail_has_the_newest_events_and_knows_how_far_it_reaches(
    newest: int, limit: int, published: list[bool], after: int, most: int
) -> None:
    tail = Tail(Generations("identity"), newest=newest, limit=limit)
    expected = newest
    for is_numbered in published:
        expected += is_numbered
        assert tail.number(event(numbered=is_numbered)).position == expected == tail.newest
    kept = list(range(newest + 1, expected + 1))[-limit:]
    assert positions(tail.all()) == kept
    assert len(tail) == len(kept)
    assert tail.reaches(after) is (expected - len(kept) <= after <= expected)
    assert positions(tail.read(after, most)) == [position for position in kept if position > after][:most]


def test_a_namespace_gets_its_own_events_up_to_the_limit() -> None:
    tail = Tail(Generations("identity"))
    for n in range(6):
        tail.number(event("/pipeline", *(["/local_files"] if n % 2 else [])))
    assert positions(tail.read(0, 2, "/local_files")) == [2, 4]
    assert positions(tail.read(2, 9, "/local_files")) == [4, 6]
    assert tail.read(0, 9, "/google_drive") == []


def test_stored_entries_keep_their_positions() -> None:
    tail = Tail(Generations("identity"), newest=10, limit=2)
    for position in (11, 15, 16):
        tail.keep(Entry(position, event()))
    assert (positions(tail.all()), tail.start, tail.newest) == ([15, 16], 11, 16)
    assert (tail.reaches(10), tail.reaches(11), tail.reaches(14)) == (False, True, True)


def test_stored_events_are_preloaded() -> None:
    tail = Tail(Generations("identity"), newest=5)
    assert (tail.reaches(4), tail.reaches(5), tail.reaches(6)) == (False, True, False)
    tail.preload(3, [Entry(4, event()), Entry(5, event())])
    assert (tail.reaches(2), tail.reaches(3)) == (False, True)
    assert tail.number(event()).position == 6
    assert positions(tail.read(3, 9)) == [4, 5, 6]


def test_the_tail_is_bounded_by_bytes_too() -> None:
    tail = Tail(Generations("identity"), limit_bytes=100_000)
    for n in range(50):
        body = FileBody(FileRecord("a", None, result="x" * 10_000))
        tail.number(event()._replace(body=body, seq=n))
        assert tail.size_bytes <= 100_000
    assert 1 < len(tail) < 10
    assert tail.start == 50 - len(tail)
    tail.number(event()._replace(body=FileBody(FileRecord("a", None, result="x" * 200_000))))
    assert positions(tail.all()) == [51], "an entry over the limit is kept if it is the only one"


def test_a_status_is_superseded_only_by_a_later_one_in_the_same_namespace() -> None:
    tail = Tail(Generations("identity"))
    first = tail.number(event("/local_files", "/pipeline")._replace(name="pipeline:status"))
    file = tail.number(event("/pipeline"))
    assert not tail.is_superseded(first, "/pipeline")
    second = tail.number(event("/google_drive", "/pipeline")._replace(name="pipeline:status"))
    assert [tail.is_superseded(entry, "/pipeline") for entry in (first, file, second)] == [True, False, False]
    assert not tail.is_superseded(first, "/local_files"), "it is the newest status of the pipeline there"
    tail.note_statuses({("p", "/local_files"): 9})
    assert tail.is_superseded(first, "/local_files")


def test_a_summary_is_kept_until_a_newer_event_of_its_pipeline() -> None:
    tail = Tail(Generations("identity"))
    before = tail.clock
    tail.number(event(numbered=False))
    ((clock, entry),) = tail.summaries(before)
    assert (clock, entry.position) == (tail.clock, 0)
    assert tail.summaries(tail.clock) == []
    tail.number(event())
    assert tail.summaries(before) == []


def test_no_client_can_resume_from_before_a_gap() -> None:
    tail = Tail(Generations("identity"))
    for _ in range(3):
        tail.number(event())
    state = core_of(PipelineStatus("local_files", "p")).status_event()
    marked = EventOverflow().after_gap(state)
    assert marked is not None
    entry = tail.number(marked)
    assert (tail.reaches(2), tail.reaches(3), positions(tail.all())) == (False, True, [4])
    tail.number(state._replace(numbered=True))
    assert not tail.is_superseded(entry, "/pipeline")


def test_the_next_generation_keeps_the_events_and_another_journal_does_not() -> None:
    tail = Tail(Generations("formerly"))
    tail.number(event())
    tail.begin_generation(Generations("nextgener", {"formerly": 1}))
    assert (tail.identity, tail.generations.position_of("formerly-1"), positions(tail.all())) == ("nextgener", 1, [1])
    tail.reset(Generations("another"), 7)
    assert (tail.identity, tail.all(), tail.newest, tail.reaches(7), tail.reaches(1)) == ("another", [], 7, True, False)


def test_a_tail_is_read_while_another_thread_appends() -> None:
    tail = Tail(Generations("identity"), limit=50)

    def append() -> None:
        for _ in range(20_000):
            tail.number(event())

    writer = native.start_thread(append, "writer")

    def read_to_the_end() -> bool:
        seen = positions(tail.all())
        assert seen == list(range(seen[0], seen[0] + len(seen))) if seen else True
        return tail.newest == 20_000

    wait_until(read_to_the_end)
    assert writer.join(60)
