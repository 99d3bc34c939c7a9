from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline import native
from rag_pipeline.events import Event
from rag_pipeline.journal import Entry, Lineage, Tail
from rag_pipeline.status.model import FileBody, FileRecord
from tests.watching import wait_until


def event(*namespaces: str, numbered: bool = True) -> Event:
    return Event(
        "pipeline:file_completed", namespaces, "p", None, "e", 1, 1.0, FileBody(FileRecord("a", None)), numbered
    )


def positions(entries: list[Entry]) -> list[int]:
    return [entry.position for entry in entries]


@given(
    st.integers(0, 5), st.integers(1, 6), st.lists(st.booleans(), max_size=20), st.integers(0, 30), st.integers(0, 9)
)
def test_the_tail_has_the_last_events_and_knows_what_it_has(
    newest: int, limit: int, published: list[bool], after: int, most: int
) -> None:
    tail = Tail(Lineage("identity"), newest=newest, limit=limit)
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
    tail = Tail(Lineage("identity"))
    for n in range(6):
        tail.number(event("/pipeline", *(["/local_files"] if n % 2 else [])))
    assert positions(tail.read(0, 2, "/local_files")) == [2, 4]
    assert positions(tail.read(2, 9, "/local_files")) == [4, 6]
    assert tail.read(0, 9, "/google_drive") == []


def test_what_a_store_numbered_is_kept_as_it_is_numbered() -> None:
    tail = Tail(Lineage("identity"), newest=10, limit=2)
    for position in (11, 15, 16):
        tail.keep(Entry(position, event()))
    assert (positions(tail.all()), tail.start, tail.newest) == ([15, 16], 11, 16)
    assert (tail.reaches(10), tail.reaches(11), tail.reaches(14)) == (False, True, True)


def test_a_tail_begins_with_what_a_store_has() -> None:
    tail = Tail(Lineage("identity"), newest=5)
    assert (tail.reaches(4), tail.reaches(5), tail.reaches(6)) == (False, True, False)
    tail.preload(3, [Entry(4, event()), Entry(5, event())])
    assert (tail.reaches(2), tail.reaches(3)) == (False, True)
    assert tail.number(event()).position == 6
    assert positions(tail.read(3, 9)) == [4, 5, 6]


def test_the_next_generation_goes_on_with_what_is_there_and_another_journal_does_not() -> None:
    tail = Tail(Lineage("formerly"))
    tail.number(event())
    tail.go_on(Lineage("nextgener", {"formerly": 1}))
    assert (tail.identity, tail.lineage.position_of("formerly-1"), positions(tail.all())) == ("nextgener", 1, [1])
    tail.begin(Lineage("another"), 7)
    assert (tail.identity, tail.all(), tail.newest, tail.reaches(7), tail.reaches(1)) == ("another", [], 7, True, False)


def test_a_tail_is_read_while_another_thread_appends() -> None:
    tail = Tail(Lineage("identity"), limit=50)

    def append() -> None:
        for _ in range(20_000):
            tail.number(event())

    writer = native.start_thread(append, "writer")

    def read_to_the_end() -> bool:
        seen = positions(tail.all())
        assert seen == list(range(seen[0], seen[0] + len(seen))) if seen else True
        return tail.newest == 20_000

    wait_until(read_to_the_end, 60)
    assert writer.join(60)
