"""The figures of pipelines, from the pipeline itself or from its state as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from prometheus_client.metrics_core import Metric

from rag_pipeline.contract.wire import KNOWN_STATUSES
from rag_pipeline.metrics.pipelines import figures_from_json, figures_of, pipeline_families
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.socket_server.support import new_pipeline


def samples(families: Iterable[Metric], name: str) -> dict[tuple[str, ...], float]:
    found = (sample for family in families for sample in family.samples if sample.name == f"rag_pipeline_{name}")
    return {tuple(sample.labels.values()): sample.value for sample in found}


def busy() -> PipelineStatus:
    """Return a pipeline with every figure."""
    pipeline = new_pipeline("google_drive")
    pipeline.update(status="processing", files_queued=4)
    for name in ("a", "b", "c", "d", "e"):
        pipeline.add_processing_file(name)
        pipeline.file_progress(name, "chunking")
    pipeline.complete_file("a", warnings=["odd"])
    pipeline.complete_file("b", success=False, error="no text")
    pipeline.skip_file("c", "too large")
    pipeline.delete_file("d")
    return pipeline


def test_both_sources_agree_except_for_the_durations() -> None:
    for pipeline in (new_pipeline(), busy()):
        here = figures_of(core_of(pipeline))
        there = figures_from_json(pipeline.get(), here.attempts)
        for field in ("last_activity", "last_success"):
            one, other = getattr(here, field), getattr(there, field)
            assert (one is None) == (other is None)
            assert one is None or abs(one - other) < 0.001, "JSON has milliseconds"
        times = (there.last_activity, there.last_success)
        assert here._replace(last_activity=times[0], last_success=times[1], durations=None) == there


def test_the_figures_are_those_of_the_state() -> None:
    pipeline = busy()
    state, families = pipeline.get(), pipeline_families([figures_of(core_of(pipeline))])
    key = pipeline.pipeline_id
    assert samples(families, "files") == {
        (key, "completed"): state["total_processed"],
        (key, "failed"): state["total_failed"],
        (key, "skipped"): state["total_skipped"],
        (key, "deleted"): state["total_deleted"],
    }
    assert samples(families, "files_in_flight") == {(key,): state["files_in_flight"]}
    assert samples(families, "files_with_warnings") == {(key,): state["total_with_warnings"]} == {(key,): 1}
    assert samples(families, "files_queued") == {(key,): 4}
    assert samples(families, "info") == {(key, "google_drive"): 1}
    last = datetime.fromisoformat(state["files_completed"][-1]["completed_at"]).timestamp()
    assert abs(samples(families, "last_success_timestamp_seconds")[key,] - last) < 0.001
    assert samples(families, "stage_duration_seconds_count") == {(key, "chunking"): 4}
    assert samples(families, "file_duration_seconds_count") == {(key, "completed"): 1, (key, "failed"): 1}


def test_unknown_values_are_absent() -> None:
    families = pipeline_families([figures_of(core_of(new_pipeline(None)))])
    for name in ("files_queued", "last_success_timestamp_seconds", "last_activity_timestamp_seconds"):
        assert samples(families, name) == {}


def test_a_pipeline_is_in_one_state_and_its_own_states_are_other() -> None:
    pipeline = new_pipeline()
    for status in (*KNOWN_STATUSES[:-1], "reindexing: 3 of 7"):
        pipeline.update(status=status)
        families = pipeline_families([figures_of(core_of(pipeline))])
        states = samples(families, "state")
        assert len(states) == len(KNOWN_STATUSES) + 1
        in_it = [labels[1] for labels, value in states.items() if value == 1]
        assert in_it == [status if status in KNOWN_STATUSES else "other"]
        assert samples(families, "in_error")[pipeline.pipeline_id,] == (status == "error")
        assert samples(families, "up") == {(pipeline.pipeline_id,): 1}


def test_a_stalled_pipeline_is_not_up_and_has_no_durations() -> None:
    state: dict[str, Any] = {**busy().get(), "status": "stalled"}
    families = pipeline_families([figures_from_json(state, FileTotals())])
    assert samples(families, "up") == {(state["pipeline_id"],): 0}
    assert samples(families, "state")[state["pipeline_id"], "stalled"] == 1
    assert samples(families, "stage_duration_seconds_count") == {}


def test_of_figures_with_one_id_the_first_count() -> None:
    pipeline = busy()
    stale = {**pipeline.get(), "files_in_flight": 99}
    families = pipeline_families([figures_of(core_of(pipeline)), figures_from_json(stale, FileTotals())])
    assert samples(families, "files_in_flight") == {(pipeline.pipeline_id,): 1}


def test_no_label_contains_a_file_name() -> None:
    pipeline = new_pipeline()
    with pipeline.processing("secret.pdf", "secret-id") as file:
        file.stage("chunking")
    text = repr([family.samples for family in pipeline_families([figures_of(core_of(pipeline))])])
    assert "secret" not in text


def test_attempts_are_counted_separately_from_files() -> None:
    pipeline = new_pipeline()
    for success in (False, False, True):
        pipeline.add_processing_file("a")
        pipeline.complete_file("a", success)
    families, key = pipeline_families([figures_of(core_of(pipeline))]), pipeline.pipeline_id
    files, attempts = samples(families, "files"), samples(families, "files_total")
    assert (files[key, "completed"], files[key, "failed"]) == (1, 0)
    assert (attempts[key, "completed"], attempts[key, "failed"]) == (1, 2)
