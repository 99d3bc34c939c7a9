from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry
from rag_pipeline.journal.base import StoredBody
from rag_pipeline.journal.redis.gap_detector import GapDetector


def entry(seq: int, *, status: bool = False, gap: bool = False, epoch: str = "e", pipeline_id: str = "p") -> Entry:
    """Return a file event, a summary, or a status that marks a gap."""
    name = events.STATUS if status or gap else events.FILE_PROGRESS
    text = json.dumps({"seq": seq, **({"gap": True} if gap else {})}, separators=(",", ":"))
    numbered = gap or not status
    event = PipelineEvent(name, ("/pipeline",), pipeline_id, None, epoch, seq, 1.0, StoredBody(text), numbered)
    return Entry(seq, event, text)


def seqs_and_gaps(entries: list[Entry]) -> list[tuple[int, bool]]:
    return [(e.event.seq, bool(e.event.payload().get("gap"))) for e in entries]


def test_consecutive_entries_are_delivered_unchanged() -> None:
    entries = [entry(1), entry(1, status=True), entry(2), entry(7, pipeline_id="q", status=True), entry(3)]
    assert GapDetector().take(entries) == entries


def test_after_a_jump_events_are_withheld_until_a_status_marked_as_a_gap() -> None:
    detector = GapDetector()
    taken = detector.take([entry(1), entry(4), entry(5), entry(1, pipeline_id="q"), entry(5, status=True), entry(6)])
    assert seqs_and_gaps(taken) == [(1, False), (1, False), (5, True), (6, False)]
    assert taken[2].event.numbered, "numbered, so clients that were away get it"
    assert taken[2].position == 5


def test_a_status_after_a_jump_is_marked_as_a_gap() -> None:
    assert seqs_and_gaps(GapDetector().take([entry(1), entry(9, status=True), entry(10)])) == [
        (1, False),
        (9, True),
        (10, False),
    ]


def test_a_gap_marked_by_the_publisher_is_not_marked_again() -> None:
    taken = [entry(1), entry(9, gap=True), entry(10)]
    assert GapDetector().take(taken) == taken


def test_a_new_epoch_is_a_gap_only_if_its_beginning_is_missing() -> None:
    assert seqs_and_gaps(GapDetector().take([entry(5, status=True), entry(1, epoch="f")])) == [(5, False), (1, False)]
    late = [entry(5, status=True), entry(3, epoch="f"), entry(3, epoch="f", status=True)]
    assert seqs_and_gaps(GapDetector().take(late)) == [(5, False), (3, True)]


def test_a_pipeline_that_is_no_longer_known_has_a_gap() -> None:
    detector = GapDetector()
    detector.take([entry(1), entry(1, pipeline_id="q")])
    known = detector.begin([entry(8, status=True, pipeline_id="q")])
    assert seqs_and_gaps(list(known)) == [(8, False)]
    taken = detector.take([entry(2), entry(9, pipeline_id="q"), entry(2, status=True), entry(3)])
    assert [(e.event.pipeline_id, *one) for e, one in zip(taken, seqs_and_gaps(taken), strict=True)] == [
        ("q", 9, False), ("p", 2, True), ("p", 3, False),
    ]  # fmt: skip


def test_a_pipeline_first_seen_in_the_middle_begins_with_a_status() -> None:
    assert seqs_and_gaps(GapDetector().take([entry(5), entry(6), entry(6, status=True)])) == [(6, True)]


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["file", "status", "gap"]), st.sampled_from("ef"))))
def test_no_jump_is_delivered_without_a_mark(drawn: list[tuple[int, str, str]]) -> None:
    last: tuple[str | None, int] | None = None
    entries = [entry(seq, status=kind == "status", gap=kind == "gap", epoch=epoch) for seq, kind, epoch in drawn]
    for taken in GapDetector().take(entries):
        event = taken.event
        if last is not None and last[0] == event.epoch and not event.payload().get("gap"):
            assert event.seq == last[1] + event.numbered
        last = (event.epoch, event.seq)
