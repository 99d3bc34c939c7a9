from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import Event
from rag_pipeline.journal import encode_payload
from rag_pipeline.journal.redis.entries import FoundEntry, Strangers, entry_of, read_entries
from rag_pipeline.journal.redis.keys import pairs
from tests.journal.driving import recorded, steps, take


def found(event: Event, entry_id: str = "5-6", **changes: str) -> FoundEntry:
    """Return the entry that stands in the stream for an event."""
    fields = {
        "name": event.name, "namespaces": " ".join(event.namespaces), "pipeline_id": event.pipeline_id or "",
        "pipeline_type": event.pipeline_type or "", "epoch": event.epoch or "", "seq": str(event.seq),
        "at": repr(event.at), "numbered": "1" if event.numbered else "0", "count": "9", "text": encode_payload(event),
    }  # fmt: skip
    return entry_id, [part for item in (fields | changes).items() for part in item]


@given(st.lists(steps, max_size=8))
def test_whatever_a_pipeline_publishes_is_read_as_it_was(drawn: list[Any]) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running")
    for step in drawn:
        take(pipeline, step)
    events = recorder.events
    read = read_entries([found(event) for event in events], Strangers("rag:events"))
    assert [entry.event[:7] for entry in read] == [event[:7] for event in events]
    assert [entry.event.numbered for entry in read] == [event.numbered for event in events]
    assert [entry.text for entry in read] == [encode_payload(event) for event in events]
    assert [entry.take_payload() for entry in read] == [json.loads(encode_payload(event)) for event in events]


@pytest.fixture
def event(caplog: pytest.LogCaptureFixture) -> Event:
    pipeline, recorder = recorded()
    pipeline.complete_file("a")
    caplog.clear()
    return recorder.changes[0]


def test_an_entry_has_the_position_of_its_id_and_may_be_taken_for_one_that_sums_up(event: Event) -> None:
    entry_id, fields = found(event)
    entry = entry_of(entry_id, pairs(fields), numbered=False)
    assert entry.position == 5 << 64 | 6
    assert not entry.event.numbered


def test_other_versions_may_write_more_fields(event: Event) -> None:
    text = json.dumps({**json.loads(encode_payload(event)), "new": 1})
    assert len(read_entries([found(event, text=text)], Strangers("rag:events"))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "evil"}, {"namespaces": "/evil"}, {"pipeline_id": ""}, {"pipeline_id": "x" * 300}, {"epoch": "other"},
        {"seq": "x"}, {"seq": "-1"}, {"seq": "9" * 6000}, {"at": "nan"}, {"text": ""}, {"text": "[]"}, {"text": "{}"},
        {"text": "[" * 100_000}, {"name": "pipeline:status"},
    ],
)  # fmt: skip
def test_a_strangers_entry_is_skipped_and_costs_none_beside_it(
    changes: dict[str, str], event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    strangers = Strangers("rag:events")
    entries = [found(event, "1-1"), found(event, "1-2", **changes), ("1-3", ["a", "b"]), found(event, "1-4")]
    for _ in range(3):
        assert [entry.position & 7 for entry in read_entries(entries, strangers)] == [1, 4]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("entry 1-2 of rag:events is not an event of this service: ")


def test_many_strangers_are_a_line_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = Strangers("rag:events")
    for n in range(1500):
        strangers.note(f"{n}-0", "why")
    assert len(caplog.messages) == 1
    monkeypatch.setattr("rag_pipeline.journal.redis.entries.time.monotonic", lambda: 1e12)
    strangers.note("last", "why")
    assert caplog.messages[1] == (
        "entry last of rag:events (and 1499 more) is not an event of this service: why; skipped"
    )
