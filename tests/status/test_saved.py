from __future__ import annotations

from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.saved import SET_FIELDS, SavedState
from rag_pipeline.status.state import PipelineState


def test_the_fields_are_those_of_the_state() -> None:
    assert set(SET_FIELDS) == PipelineState("p", None, "e", Moment(0.0, 0.0)).fields.keys()


def test_lists_and_outcomes_are_optional() -> None:
    saved = SavedState("p", None, "e", 3, {}, {}, FileTotals(1, 2, 3, 4))
    assert [*saved.completed, *saved.in_flight, *saved.outcomes] == []
