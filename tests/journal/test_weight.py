"""The weight of an event: large parts are measured, and that never fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry
from rag_pipeline.journal.weight import BASE_BYTES, size_of, weigh
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def events_of(result: Any = None, **own: Any) -> list[PipelineEvent]:
    recorder, pipeline = Recorder(), PipelineStatus("local_files", "weighed")
    core_of(pipeline).attach(recorder)
    pipeline.update(**own)
    pipeline.complete_file("a", result=result)
    pipeline.close()
    return recorder.changes


@pytest.mark.slow
@given(JSON)
def test_the_size_of_a_value_is_about_that_of_its_json(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert size_of(value) <= 4 * len(text.encode("utf-8", "surrogatepass")) + 20 * (text.count(",") + 1)


@pytest.mark.parametrize("large", ["x" * 200_000, ["y" * 1000] * 200, {str(n): "z" * 100 for n in range(2000)}])
def test_results_and_own_fields_are_counted(large: Any) -> None:
    plain_status, plain_end = map(weigh, events_of("small"))
    status, end = map(weigh, events_of(large, mine=large))
    assert status - plain_status > 190_000
    assert end - plain_end > 190_000


def test_every_event_has_a_weight_and_nothing_else_has_one() -> None:
    assert all(weigh(event) >= BASE_BYTES for event in events_of())
    assert weigh(object()) == weigh(None) == 0


def test_an_entry_weighs_as_much_as_its_event_and_its_text() -> None:
    event = events_of("x" * 1000)[-1]
    entry = Entry(1, event)
    assert weigh(entry) == 2 * weigh(event)
    assert weigh(Entry(1, event, "y" * 5000)) == weigh(event) + 5000


def test_a_value_that_can_not_be_measured_counts_as_small() -> None:
    assert size_of(object()) == BASE_BYTES
