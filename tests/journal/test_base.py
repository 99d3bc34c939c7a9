from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import (
    Entry,
    Generations,
    StoredBody,
    encode_payload,
    new_identity,
    offset_of,
    parse_offset,
)
from rag_pipeline.status.model import FileBody, FileRecord

EVENT = PipelineEvent(
    "pipeline:file_completed", ("/pipeline",), "p", None, "e", 7, 1.5, FileBody(FileRecord("é\0", None))
)


@given(st.integers(0, 2**128 - 1))
def test_an_offset_is_parsed_into_identity_and_position(position: int) -> None:
    identity = new_identity()
    assert parse_offset(offset_of(identity, position)) == (identity, position)


@given(st.one_of(st.text(), st.none(), st.integers(), st.from_regex(r"[0-9a-z-]{0,40}")))
def test_other_text_is_no_offset(value: object) -> None:
    parsed = parse_offset(value)
    if parsed is not None:
        assert isinstance(value, str)
        assert parse_offset(offset_of(*parsed)) == parsed


def test_offsets_with_extra_text_or_other_digits_are_invalid() -> None:
    good = offset_of("0123456789abcdef", 255)
    assert good == "0123456789abcdef-ff"
    others = (f" {good}", f"{good}\n", good.upper(), "short-1", "0123456789abcdef-", "-1", "0123456789abcdef-٣")
    assert [parse_offset(text) for text in others] == [None] * len(others)


def test_identities_differ_and_are_part_of_offsets() -> None:
    one, two = new_identity(), new_identity()
    assert one != two
    assert parse_offset(f"{one}-0") == (one, 0)


def test_an_offset_of_a_former_generation_is_valid_up_to_the_next_one() -> None:
    generations = Generations.of([("aaaaaaaa", 0), ("bbbbbbbb", 5), ("cccccccc", 5), ("dddddddd", 9)])
    held = {"aaaaaaaa": 5, "bbbbbbbb": 5, "cccccccc": 9}
    assert generations == Generations("dddddddd", held)
    for identity, end in held.items():
        assert [generations.position_of(offset_of(identity, position)) for position in (0, end, end + 1)] == [
            0,
            end,
            None,
        ]
    assert generations.position_of("dddddddd-ff") == 255
    assert [generations.position_of(other) for other in ("eeeeeeee-1", "", None, 7, ["dddddddd-1"])] == [None] * 5


@given(st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=40))
def test_an_offset_means_the_same_events_or_nothing(steps: list[int | None]) -> None:
    """None appends an event; a number reopens the journal as it was that many steps ago."""
    events: tuple[int, ...] = ()
    generations: tuple[tuple[str, int], ...] = ((new_identity(), 0),)
    states = [(events, generations)]
    seen: dict[str, tuple[int, ...]] = {}
    for nth, step in enumerate(steps):
        if step is None:
            events = (*events, nth)
        else:
            events, generations = states[-1 - step % len(states)]
            generations = (*generations, (new_identity(), len(events)))
        states.append((events, generations))
        seen[offset_of(generations[-1][0], len(events))] = events
    for offset, before in seen.items():
        is_known = any(offset.startswith(identity) for identity, _ in generations)
        holds = is_known and events[: len(before)] == before
        assert Generations.of(generations).position_of(offset) == (len(before) if holds else None)


def test_the_text_of_an_entry_is_its_payload_encoded_once() -> None:
    entry = Entry(3, EVENT)
    assert json.loads(entry.text) == EVENT.payload()
    assert entry.text is entry.text
    assert "é" in entry.text
    assert "\n" not in entry.text


def test_a_given_text_is_used_as_it_is() -> None:
    assert Entry(3, EVENT, "{}").text == "{}"


def test_a_stored_event_has_its_stored_text_and_the_same_payload() -> None:
    text = encode_payload(EVENT)
    stored = EVENT._replace(body=StoredBody(text))
    assert encode_payload(stored) is text
    assert stored.payload() == EVENT.payload()
