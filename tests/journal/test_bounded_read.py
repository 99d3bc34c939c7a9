"""Reads with a byte limit are consecutive, and none is much larger than the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, Generations, Tail
from rag_pipeline.journal.bounded_read import read_bounded
from rag_pipeline.journal.weight import weigh
from rag_pipeline.status.model import FileBody, FileRecord


def tail_of(sizes: list[int]) -> Tail:
    tail = Tail(Generations("identity"))
    for size in sizes:
        body = FileBody(FileRecord("a", None, result="x" * size))
        tail.number(PipelineEvent("pipeline:file_completed", ("/pipeline",), "p", None, "e", 1, 1.0, body))
    return tail


@given(
    st.lists(st.sampled_from([0, 10, 10_000, 200_000]), max_size=150), st.integers(1, 200), st.integers(1, 1_000_000)
)
def test_reads_are_bounded_and_consecutive(sizes: list[int], limit: int, limit_bytes: int) -> None:
    tail = tail_of(sizes)
    seen: list[Entry] = []
    is_all = False
    while not is_all:
        after = seen[-1].position if seen else 0
        found, is_all = read_bounded(tail.read, after, limit, limit_bytes, "/pipeline")
        assert found or is_all
        assert len(found) <= limit
        assert sum(map(weigh, found[:-1])) < limit_bytes, "at most one entry over the limit"
        seen += found
    assert [entry.position for entry in seen] == list(range(1, len(sizes) + 1))


def test_most_ranges_take_two_reads() -> None:
    tail, reads = tail_of([10] * 5000), 0

    def read(after: int, limit: int, namespace: str) -> list[Entry]:
        nonlocal reads
        reads += 1
        return tail.read(after, limit, namespace)

    found, is_all = read_bounded(read, 0, 512, 1 << 22, "/pipeline")
    assert (len(found), is_all, reads) == (512, False, 2)
