from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import encode_payload
from rag_pipeline.journal.redis.entries import ForeignEntryLog, RawEntry, entry_of, read_entries
from rag_pipeline.journal.redis.keys import pairs
from tests.journal.driving import recorded, steps, take


def found(event: PipelineEvent, entry_id: str = "5-6", **changes: str) -> RawEntry:
    """Return the stream entry of an event."""
    fields = {
        "name": event.name, "namespaces": " ".join(event.namespaces), "pipeline_id": event.pipeline_id or "",
        "pipeline_type": event.pipeline_type or "", "epoch": event.epoch or "", "seq": str(event.seq),
        "at": repr(event.at), "numbered": "1" if event.numbered else "0", "count": "9", "text": encode_payload(event),
    }  # fmt: skip
    return entry_id, [part for item in (fields | changes).items() for part in item]


@given(st.lists(steps, max_size=8))
def test_published_events_are_read_unchanged(drawn: list[Any]) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running")
    for step in drawn:
        take(pipeline, step)
    events = recorder.events
    read = read_entries([found(event) for event in events], ForeignEntryLog("rag:events"))
    assert [entry.event[:7] for entry in read] == [event[:7] for event in events]
    assert [entry.event.numbered for entry in read] == [event.numbered for event in events]
    assert [entry.text for entry in read] == [encode_payload(event) for event in events]
    assert [entry.take_payload() for entry in read] == [json.loads(encode_payload(event)) for event in events]


@pytest.fixture
def event(caplog: pytest.LogCaptureFixture) -> PipelineEvent:
    pipeline, recorder = recorded()
    pipeline.complete_file("a")
    caplog.clear()
    return recorder.changes[0]


def test_an_entry_has_the_position_of_its_id_and_may_be_read_as_a_summary(event: PipelineEvent) -> None:
    entry_id, fields = found(event)
    entry = entry_of(entry_id, pairs(fields), numbered=False)
    assert entry.position == 5 << 64 | 6
    assert not entry.event.numbered


def test_other_versions_may_write_more_fields(event: PipelineEvent) -> None:
    text = json.dumps({**json.loads(encode_payload(event)), "new": 1})
    assert len(read_entries([found(event, text=text)], ForeignEntryLog("rag:events"))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "evil"}, {"namespaces": "/evil"}, {"pipeline_id": ""}, {"pipeline_id": "x" * 300}, {"epoch": "other"},
        {"seq": "x"}, {"seq": "-1"}, {"seq": "9" * 6000}, {"at": "nan"}, {"text": ""}, {"text": "[]"}, {"text": "{}"},
        {"text": "[" * 100_000}, {"name": "pipeline:status"},
    ],
)  # fmt: skip
def test_a_foreign_entry_is_skipped_and_affects_no_other(
    changes: dict[str, str], event: PipelineEvent, caplog: pytest.LogCaptureFixture
) -> None:
    foreign_log = ForeignEntryLog("rag:events")
    entries = [found(event, "1-1"), found(event, "1-2", **changes), ("1-3", ["a", "b"]), found(event, "1-4")]
    for _ in range(3):
        assert [entry.position & 7 for entry in read_entries(entries, foreign_log)] == [1, 4]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("entry 1-2 of rag:events is not an event of this service: ")


def test_many_foreign_entries_are_one_line_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign_log = ForeignEntryLog("rag:events")
    for n in range(1500):
        foreign_log.note(f"{n}-0", "why")
    assert len(caplog.messages) == 1
    monkeypatch.setattr("rag_pipeline.journal.redis.entries.time.monotonic", lambda: 1e12)
    foreign_log.note("last", "why")
    assert caplog.messages[1] == (
        "entry last of rag:events (and 1499 more) is not an event of this service: why; skipped"
    )


def test_the_state_of_an_earlier_version_has_no_files_with_warnings() -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running")
    text = encode_payload(recorder.events[-1])
    older = {key: value for key, value in json.loads(text).items() if key != "total_with_warnings"}
    (entry,) = read_entries([found(recorder.events[-1], text=json.dumps(older))], ForeignEntryLog("rag:events"))
    assert entry.take_payload() == {**older, "total_with_warnings": 0}
