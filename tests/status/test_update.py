from __future__ import annotations

import pytest

from rag_pipeline.contract import events
from rag_pipeline.status.pipeline import PipelineStatus
from tests.support.recorder import Recorder, untyped
from tests.support.state_client import without_volatile


def test_update_sets_fields_and_own_ones_and_emits_the_state(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.update(
        status="scanning",
        is_checking=True,
        check_interval=30,
        files_queued=7,
        last_check_time="2024-05-01T12:00:00+00:00",
        seconds_until_next_check=60,
        own={"folder": {"path": "inbox", "depth": [1, 2]}},
    )
    assert recorder.names == [events.STATUS]
    state = pipeline.get()
    assert without_volatile({k: v for k, v in recorder.last.items() if k != "timestamp"}) == without_volatile(state)
    assert state["folder"] == {"path": "inbox", "depth": [1, 2]}
    assert state["last_check_time"] == "2024-05-01T12:00:00.000+00:00"
    assert 58 < state["seconds_until_next_check"] <= 60
    assert (state["status"], state["is_checking"], state["files_queued"], state["seq"]) == ("scanning", True, 7, 1)


def test_update_takes_a_field_of_any_name(pipeline: PipelineStatus) -> None:
    pipeline.update(own={"self": 1, "own": 2, "totals": 3, "fields": 4})
    state = pipeline.get()
    assert [state[k] for k in ("self", "own", "totals", "fields")] == [1, 2, 3, 4]


def test_an_empty_update_emits_the_state(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.update()
    assert (recorder.names, pipeline.get()["seq"]) == ([events.STATUS], 1)


def test_own_fields_are_bounded_together() -> None:
    status = PipelineStatus("local_files")
    status.update(own={"first": "x" * 200_000})
    before = status.get()
    with pytest.raises(ValueError, match="all together"):
        status.update(own={"second": "y" * 100_000})
    assert status.get() == before


@pytest.mark.parametrize("name", ["pipelines", "timestamp", "total_failed", "seq"])
def test_reserved_names_can_not_be_set(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        untyped(PipelineStatus("local_files")).update(**{name: "x"})
