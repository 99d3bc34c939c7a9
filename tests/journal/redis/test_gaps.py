from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.journal import Entry
from rag_pipeline.journal.base import StoredBody
from rag_pipeline.journal.redis.gaps import GapDetector


def entry(seq: int, *, status: bool = False, gap: bool = False, epoch: str = "e", pipeline_id: str = "p") -> Entry:
    """Return a file event, a status that sums up, or one that stands for a gap."""
    name = events.STATUS if status or gap else events.FILE_PROGRESS
    text = json.dumps({"seq": seq, **({"gap": True} if gap else {})}, separators=(",", ":"))
    numbered = gap or not status
    event = Event(name, ("/pipeline",), pipeline_id, None, epoch, seq, 1.0, StoredBody(text), numbered)
    return Entry(seq, event, text)


def told(entries: list[Entry]) -> list[tuple[int, bool]]:
    return [(e.event.seq, bool(e.event.payload().get("gap"))) for e in entries]


def test_what_follows_on_is_left_as_it_is() -> None:
    entries = [entry(1), entry(1, status=True), entry(2), entry(7, pipeline_id="q", status=True), entry(3)]
    assert GapDetector().take(entries) == entries


def test_after_a_jump_nothing_is_shown_until_a_status_that_says_so() -> None:
    detector = GapDetector()
    taken = detector.take([entry(1), entry(4), entry(5), entry(1, pipeline_id="q"), entry(5, status=True), entry(6)])
    assert told(taken) == [(1, False), (1, False), (5, True), (6, False)]
    assert taken[2].event.numbered, "it is an event like others, so that whoever was away gets it"
    assert taken[2].position == 5


def test_a_status_after_a_jump_says_so_itself() -> None:
    assert told(GapDetector().take([entry(1), entry(9, status=True), entry(10)])) == [
        (1, False),
        (9, True),
        (10, False),
    ]


def test_a_gap_that_the_publisher_tells_is_not_told_twice() -> None:
    taken = [entry(1), entry(9, gap=True), entry(10)]
    assert GapDetector().take(taken) == taken


def test_a_new_epoch_is_no_gap_unless_its_beginning_is_missing() -> None:
    assert told(GapDetector().take([entry(5, status=True), entry(1, epoch="f")])) == [(5, False), (1, False)]
    late = [entry(5, status=True), entry(3, epoch="f"), entry(3, epoch="f", status=True)]
    assert told(GapDetector().take(late)) == [(5, False), (3, True)]


def test_a_pipeline_that_nothing_is_known_of_any_more_has_a_gap() -> None:
    detector = GapDetector()
    detector.take([entry(1), entry(1, pipeline_id="q")])
    known = detector.begin([entry(8, status=True, pipeline_id="q")])
    assert told(list(known)) == [(8, False)]
    taken = detector.take([entry(2), entry(9, pipeline_id="q"), entry(2, status=True), entry(3)])
    assert [(e.event.pipeline_id, *one) for e, one in zip(taken, told(taken), strict=True)] == [
        ("q", 9, False), ("p", 2, True), ("p", 3, False),
    ]  # fmt: skip


def test_a_pipeline_seen_in_the_middle_of_its_life_begins_with_a_status() -> None:
    assert told(GapDetector().take([entry(5), entry(6), entry(6, status=True)])) == [(6, True)]


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["file", "status", "gap"]), st.sampled_from("ef"))))
def test_no_jump_is_untold_whatever_comes(drawn: list[tuple[int, str, str]]) -> None:
    last: tuple[str | None, int] | None = None
    entries = [entry(seq, status=kind == "status", gap=kind == "gap", epoch=epoch) for seq, kind, epoch in drawn]
    for taken in GapDetector().take(entries):
        event = taken.event
        if last is not None and last[0] == event.epoch and not event.payload().get("gap"):
            assert event.seq == last[1] + event.numbered
        last = (event.epoch, event.seq)
