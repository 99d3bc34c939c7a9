from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.journal import FileStatus
from rag_pipeline.journal.files import (
    STATUS_OF,
    counts_as,
    file_of,
    is_warned,
    key_from_text,
    key_to_text,
    keys_of,
    pack,
    unpack,
)
from rag_pipeline.status.model import FileFailure, FileRecord, FileWarning
from rag_pipeline.status.outcomes import DELETED, PROCESSED, WARNED
from tests.journal.driving import recorded

words = st.text(min_size=1, max_size=20)
maybe_words = st.one_of(st.none(), words)
times = st.one_of(st.none(), st.floats(0, 4e9))
results = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=8,
)
errors = st.one_of(st.none(), st.builds(FileFailure, words, words, maybe_words, st.booleans()))
verdicts = st.builds(FileWarning, words, words, st.integers(1, 9))
figures = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
qualities = st.one_of(st.none(), st.dictionaries(words, figures, max_size=3))
files = st.builds(
    FileRecord, words, maybe_words, st.one_of(st.none(), st.integers(0, 2**63 - 1)), maybe_words, maybe_words,
    st.integers(1, 9), times, maybe_words, st.one_of(st.none(), st.floats(0, 1)), times, times, times, results, errors,
    st.lists(verdicts, max_size=3).map(tuple), qualities,
)  # fmt: skip


@given(files)
def test_a_record_survives_packing(file: FileRecord) -> None:
    again = unpack(pack(file))
    assert again == file
    assert again.to_json() == file.to_json()
    assert type(again.error) is type(file.error)


def test_every_file_event_has_a_file_status() -> None:
    assert STATUS_OF.keys() == set(events.EVENT_NAMES) - {events.STATUS}
    assert set(STATUS_OF.values()) == set(FileStatus)


def test_a_file_event_has_a_file_and_a_status_has_none() -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a", "1")
    files = {event.name: file_of(event) for event in recorder.events}
    assert files.pop(events.STATUS) is None
    assert [file and file.name for file in files.values()] == ["a"]


def test_only_a_file_with_an_id_that_was_started_may_have_begun_under_its_name() -> None:
    begun = FileRecord("a", "1", started_at=1.0)
    assert keys_of(begun) == (("id", "1"), ("name", "a"))
    assert keys_of(begun._replace(started_at=None)) == (("id", "1"), None)
    assert keys_of(begun._replace(id=None)) == (("name", "a"), None)


@given(st.tuples(st.sampled_from(["id", "name"]), st.text()))
def test_a_file_key_survives_the_round_trip(key: tuple[str, str]) -> None:
    assert key_from_text(key_to_text(key)) == key


def test_a_record_without_a_verdict_is_stored_as_by_earlier_versions() -> None:
    plain = FileRecord("a", "1", result={"chunks": 3}, error=FileFailure("E", "m", None, retryable=True))
    assert len(json.loads(pack(plain))) == 14
    assert unpack(pack(plain)) == plain
    warned = plain._replace(error=None, warnings=(FileWarning("odd", "é", 2),), quality={"pages": 1})
    assert unpack(pack(warned)) == warned
    assert unpack(pack(warned)).warnings[0].to_json() == {"type": "odd", "message": "é", "count": 2}


def test_only_a_completed_file_counts_as_warned() -> None:
    warned = FileRecord("a", "1", warnings=(FileWarning("odd", "é"),))
    assert is_warned(FileStatus.COMPLETED, warned)
    assert not is_warned(FileStatus.FAILED, warned)
    assert not is_warned(FileStatus.COMPLETED, FileRecord("a", "1"))
    assert [counts_as(FileStatus.COMPLETED, warned=warned) for warned in (True, False)] == [WARNED, PROCESSED]
    assert counts_as(FileStatus.DELETED, warned=True) == DELETED
