"""The wire types agree with the package: names, fields and values."""

from __future__ import annotations

import itertools
import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events, state_reducer, wire
from rag_pipeline.http_server import service_view
from rag_pipeline.journal import base
from rag_pipeline.status.checks import MAX_MESSAGE_LENGTH
from rag_pipeline.status.files import MAX_SHOWN
from rag_pipeline.status.model import RESERVED_FIELDS, FileFailure, FileRecord, FileTotals
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.contract.checking import ContractError, check_event
from tests.support.recorder import Recorder

_ids = itertools.count()


def fields(shape: type) -> list[str]:
    return list(get_type_hints(shape))


def test_names_are_those_of_the_package() -> None:
    assert get_args(wire.EventName) == events.EVENT_NAMES
    assert get_args(wire.Namespace) == events.NAMESPACE_NAMES
    assert get_args(wire.FileStatus) == tuple(base.FileStatus)


def test_records_have_the_fields_in_their_order() -> None:
    assert fields(wire.File) == list(FileRecord._fields)
    assert fields(wire.FileError) == list(FileFailure._fields)
    assert fields(wire.Totals) == list(FileTotals._fields)


def test_reserved_names_are_those_of_state_and_envelope() -> None:
    assert {*fields(wire.StatusEvent), "pipelines"} == RESERVED_FIELDS
    assert set(fields(wire.StatusEvent)) - set(fields(wire.State)) == state_reducer.BESIDE_THE_STATE


def test_pages_have_the_rendered_fields() -> None:
    assert fields(wire.EventPage) == list(service_view.JournalPage._fields)
    assert fields(wire.FileRow)[len(FileRecord._fields) :] == ["status", "pipeline_id", "changed_at", "offset"]


def test_bounds_are_those_of_the_package() -> None:
    state = get_type_hints(wire.State, include_extras=True)
    limits = {key: state[f"files_{key}"].__metadata__[0].keywords["maxItems"] for key in ("processing", "failed")}
    assert limits == {"processing": MAX_SHOWN, "failed": 5}
    assert wire.Message.__metadata__[-1].keywords["maxLength"] == MAX_MESSAGE_LENGTH  # type: ignore[attr-defined]


TEXTS = st.text(min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OWN = st.dictionaries(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), JSON, max_size=3)


@pytest.mark.slow
@given(
    name=TEXTS,
    file_id=st.none() | TEXTS,
    size=st.none() | st.integers(0, 2**63 - 1),
    stage=TEXTS,
    progress=st.none() | st.floats(0, 1),
    result=JSON,
    error=st.none() | st.text(),
    own=OWN,
)
def test_every_event_of_a_pipeline_is_valid(
    name: str,
    file_id: str | None,
    size: int | None,
    stage: str,
    progress: float | None,
    result: object,
    error: str | None,
    own: dict[str, Any],
) -> None:
    pipeline = PipelineStatus("local_files", f"wire-{next(_ids)}")
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    # As ``own``: outside it, ``stats`` is taken for ``status`` misspelt.
    pipeline.update(own={key: value for key, value in own.items() if key not in RESERVED_FIELDS})
    pipeline.add_processing_file(name, file_id, size=size)
    pipeline.file_progress(name, stage, progress, file_id=file_id)
    pipeline.complete_file(name, error is None, file_id=file_id, result=result if error is None else None, error=error)
    pipeline.skip_file(name, "no need", file_id=file_id)
    pipeline.delete_file(name, file_id=file_id)
    pipeline.close()
    assert {event.name for event in recorder.events} >= {events.STATUS, events.FILE_PROGRESS, events.FILE_DELETED}
    for event in recorder.events:
        check_event(event.name, json.loads(json.dumps({**event.payload(), "offset": "o"})))


FILE = FileRecord("a.pdf", None, error=FileFailure("E", "m", None, retryable=False))
EVENT: dict[str, Any] = {
    "pipeline_id": "p",
    "pipeline_type": None,
    "epoch": "e",
    "seq": 1,
    "timestamp": "2026-01-31T12:00:00.000+00:00",
    "offset": "o-1",
    "file": FILE.to_json(),
    "totals": FileTotals().to_json(),
}


def test_the_sample_event_is_valid() -> None:
    check_event(events.FILE_FAILED, EVENT)


@pytest.mark.parametrize("field", sorted(EVENT))
def test_a_missing_field_is_an_error(field: str) -> None:
    with pytest.raises(ContractError, match=field):
        check_event(events.FILE_FAILED, {key: value for key, value in EVENT.items() if key != field})


@pytest.mark.parametrize("field", fields(wire.File))
def test_a_missing_field_of_a_file_is_an_error(field: str) -> None:
    file = {key: value for key, value in EVENT["file"].items() if key != field}
    with pytest.raises(ContractError, match=field):
        check_event(events.FILE_FAILED, {**EVENT, "file": file})


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ({"file": {**FILE.to_json(), "own": 1}}, r"\['file'\].*own"),
        ({"own": 1}, "own"),
        ({"seq": 0}, "seq"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"epoch": None}, "epoch"),
        ({"file": {**FILE.to_json(), "progress": 1.5}}, r"\['file'\]\['progress'\]"),
        ({"totals": {**FileTotals().to_json(), "total_failed": -1}}, "total_failed"),
    ],
)
def test_a_wrong_shape_is_an_error(broken: dict[str, Any], place: str) -> None:
    with pytest.raises(ContractError, match=place):
        check_event(events.FILE_FAILED, {**EVENT, **broken})
