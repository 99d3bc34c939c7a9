"""Reading within a bound of bytes: every stretch follows the one before, and none is much larger than the bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import Event
from rag_pipeline.journal import Entry, Lineage, Tail
from rag_pipeline.journal.reading import read_within
from rag_pipeline.journal.weight import weigh
from rag_pipeline.status.model import FileBody, FileRecord


def tail_of(sizes: list[int]) -> Tail:
    tail = Tail(Lineage("identity"))
    for size in sizes:
        body = FileBody(FileRecord("a", None, result="x" * size))
        tail.number(Event("pipeline:file_completed", ("/pipeline",), "p", None, "e", 1, 1.0, body))
    return tail


@given(
    st.lists(st.sampled_from([0, 10, 10_000, 200_000]), max_size=150), st.integers(1, 200), st.integers(1, 1_000_000)
)
def test_the_stretches_are_bounded_and_follow_each_other(sizes: list[int], limit: int, limit_bytes: int) -> None:
    tail = tail_of(sizes)
    seen: list[Entry] = []
    is_all = False
    while not is_all:
        after = seen[-1].position if seen else 0
        found, is_all = read_within(tail.read, after, limit, limit_bytes, "/pipeline")
        assert found or is_all
        assert len(found) <= limit
        assert sum(map(weigh, found[:-1])) < limit_bytes, "one more than fits at most"
        seen += found
    assert [entry.position for entry in seen] == list(range(1, len(sizes) + 1))


def test_most_stretches_take_two_reads() -> None:
    tail, reads = tail_of([10] * 5000), 0

    def read(after: int, limit: int, namespace: str) -> list[Entry]:
        nonlocal reads
        reads += 1
        return tail.read(after, limit, namespace)

    found, is_all = read_within(read, 0, 512, 1 << 22, "/pipeline")
    assert (len(found), is_all, reads) == (512, False, 2)
