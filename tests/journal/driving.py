"""Drives a pipeline with calls drawn by Hypothesis, and compares its saved state with the real one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rag_pipeline.contract.events import PipelineEvent, iso
from rag_pipeline.journal import Entry
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.saved import SavedState
from tests.support.recorder import Recorder

NAMES = ("report.pdf", "Straße.TXT", "100%_done", "nul\0in it", "É")
IDS = (None, "1", "report.pdf")
TEXTS = ("", "strasse", "%", "_", "in it", "\0", "é", "report", "no SUCH page", "\udc80")

Step = tuple[str, dict[str, Any]]

_which = st.fixed_dictionaries({"filename": st.sampled_from(NAMES), "file_id": st.sampled_from(IDS)})


def _step(call: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    others = st.fixed_dictionaries(arguments)
    return st.tuples(st.just(call), st.builds(lambda which, rest: {**which, **rest}, _which, others))


file_steps = st.one_of(
    _step("add_processing_file", size=st.sampled_from([None, 0, 2**63 - 1])),
    _step("file_progress", stage=st.sampled_from(["reading", "chunking"]), progress=st.sampled_from([None, 0.1, 1])),
    _step("complete_file", result=st.sampled_from([None, {"chunks": 3, "é": [2**1000, 1e-9]}])),
    _step(
        "complete_file",
        warnings=st.sampled_from([["odd"], [{"type": "é", "message": "No such PAGE", "count": 2}, "odd"]]),
        quality=st.sampled_from([None, {"pages": 2, "share": 0.25, "unknown": None}]),
    ),
    _step("warn_file", type=st.just("odd"), message=st.sampled_from(["a", "É"])),
    _step("complete_file", success=st.just(False), error=st.sampled_from([None, "No such PAGE", "100%"])),
    _step("skip_file", reason=st.sampled_from(["too large", "É\0"])),
    _step("delete_file"),
)
updates: st.SearchStrategy[Step] = st.tuples(
    st.just("update"),
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(["running", "idle"]),
            "pipeline_type": st.sampled_from([None, "local_files", "google_drive"]),
            "is_checking": st.booleans(),
            "files_queued": st.sampled_from([None, 0, 7]),
            "check_interval": st.sampled_from([None, 1, 0.5]),
            "seconds_until_next_check": st.sampled_from([None, 30]),
            "last_check_time": st.sampled_from([None, 1_700_000_000.123456]),
            "mine": st.sampled_from([None, "x", {"deep": [1]}]),
        },
    ),
)
steps = st.one_of(file_steps, file_steps, file_steps, updates)


def take(pipeline: PipelineStatus, step: Step) -> None:
    """Make the call."""
    call, arguments = step
    getattr(pipeline, call)(**arguments)


def recorded(pipeline_id: str = "p", pipeline_type: str | None = "local_files") -> tuple[PipelineStatus, Recorder]:
    """Return a new pipeline and the recorder of its events."""
    pipeline, recorder = PipelineStatus(pipeline_type, pipeline_id), Recorder()
    core_of(pipeline).attach(recorder)
    return pipeline, recorder


def numbered(events: list[PipelineEvent]) -> list[Entry]:
    """Return the events as an empty journal numbers them."""
    position, entries = 0, []
    for event in events:
        position += event.numbered
        entries.append(Entry(position, event))
    return entries


def assert_saved(saved: SavedState, pipeline: PipelineStatus) -> None:
    """Assert that the saved state is that of the pipeline; delayed statuses must be flushed before."""
    state = pipeline.get()
    times = {key: iso(value) for key, value in saved.fields.items() if key.endswith(("_at", "_time", "_activity"))}
    shown = {
        "pipeline_id": saved.pipeline_id,
        "pipeline_type": saved.pipeline_type,
        "epoch": saved.epoch,
        "seq": saved.seq,
        **saved.fields,
        **times,
        **saved.own,
        **saved.totals._asdict(),
        "files_in_flight": len(saved.in_flight),
        "files_processing": [file.to_json() for file in saved.in_flight],
        "files_completed": [file.to_json() for file in saved.completed],
        "files_failed": [file.to_json() for file in saved.failed],
        "files_skipped": [file.to_json() for file in saved.skipped],
    }
    derived = {"files_per_minute", "eta_seconds", "seconds_until_next_check"}
    if core_of(pipeline)._state.fields["status"] is None:
        derived.add("status")  # it is derived, and not in any file event
    expected = {key: value for key, value in state.items() if key not in derived}
    differing = [key for key in (shown.keys() | expected.keys()) - derived if shown.get(key) != expected.get(key)]
    assert not differing, [(key, shown.get(key), expected.get(key)) for key in differing]
    outcomes = core_of(pipeline)._state.outcomes
    assert [one for one in saved.outcomes if outcomes.get(one[0]) != one[1]] == []
    assert saved.failed_attempts == tuple(core_of(pipeline)._state.files._failed_attempts.items())
