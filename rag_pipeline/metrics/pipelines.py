"""The metrics of pipelines: of this process from their state, of other processes from their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from rag_pipeline.broadcast.remote_states import STALLED
from rag_pipeline.contract.wire import KNOWN_STATUSES
from rag_pipeline.metrics.families import counter, gauge, histogram, info
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.stages import Durations

OTHER_STATE = "other"
RESULTS = ("completed", "failed", "skipped", "deleted")
"""The outcomes, in the order of the totals; the last total counts a part of the first."""


class PipelineFigures(NamedTuple):
    """The figures of one pipeline; times are wall-clock seconds.

    ``totals`` counts files by their newest outcome, ``attempts`` counts every outcome. ``durations`` is None for a
    pipeline of another process: only that process measures them.
    """

    pipeline_id: str
    pipeline_type: str | None
    status: str
    last_activity: float | None
    last_success: float | None
    totals: FileTotals
    in_flight: int
    queued: int | None
    attempts: FileTotals
    durations: Durations | None = None


def figures_of(pipeline: StatusCore) -> PipelineFigures:
    """Return the figures of a pipeline of this process, all of the same moment."""
    state, durations = pipeline.measured()
    return PipelineFigures(
        pipeline.pipeline_id,
        state.pipeline_type,
        state.status,
        state.last_activity,
        state.files_completed[-1].completed_at if state.files_completed else None,
        state.totals,
        state.files_in_flight,
        state.files_queued,
        state.attempts,
        durations,
    )


def figures_from_json(state: Mapping[str, Any], attempts: FileTotals) -> PipelineFigures:
    """Return the figures of a pipeline from its state as JSON."""
    completed = state["files_completed"]
    return PipelineFigures(
        state["pipeline_id"],
        state["pipeline_type"],
        state["status"],
        _seconds(state["last_activity"]),
        _seconds(completed[-1]["completed_at"]) if completed else None,
        FileTotals(*(state[name] for name in FileTotals._fields)),
        state["files_in_flight"],
        state["files_queued"],
        attempts,
    )


def pipeline_families(pipelines: Iterable[PipelineFigures]) -> list[Metric]:
    """Return the families; of figures with the same id, the first ones count."""
    by_id: dict[str, PipelineFigures] = {}
    for figures in pipelines:
        by_id.setdefault(figures.pipeline_id, figures)
    unique = list(by_id.values())
    return [
        info("info", "The pipeline and its type.", [_identity(p) for p in unique]),
        *(_gauge(unique, *one) for one in _GAUGES),
        gauge(
            "state",
            "1 for the state the pipeline is in, 0 for the others; other stands for a state of the pipeline's own.",
            ("pipeline", "state"),
            (((p.pipeline_id, state), state == _state(p)) for p in unique for state in (*KNOWN_STATUSES, OTHER_STATE)),
        ),
        gauge(
            "files",
            "Files by their newest outcome, since the pipeline's first file; each file counts once.",
            ("pipeline", "result"),
            (((p.pipeline_id, r), count) for p in unique for r, count in zip(RESULTS, p.totals, strict=False)),
        ),
        counter(
            "files_total",
            "File outcomes since the process began; each attempt counts.",
            ("pipeline", "result"),
            (((p.pipeline_id, r), count) for p in unique for r, count in zip(RESULTS, p.attempts, strict=False)),
        ),
        *_histograms(unique),
    ]


def _identity(pipeline: PipelineFigures) -> dict[str, str]:
    return {"pipeline": pipeline.pipeline_id, "type": pipeline.pipeline_type or ""}


def _state(pipeline: PipelineFigures) -> str:
    return pipeline.status if pipeline.status in KNOWN_STATUSES else OTHER_STATE


_GAUGES: tuple[tuple[str, str, Callable[[PipelineFigures], float | None]], ...] = (
    ("up", "1, or 0 when the pipeline's process has stopped reporting.", lambda p: p.status != STALLED),
    ("in_error", "1 when the pipeline's status is error.", lambda p: p.status == "error"),
    ("last_success_timestamp_seconds", "When a file was last completed.", lambda p: p.last_success),
    ("last_activity_timestamp_seconds", "When the pipeline last changed.", lambda p: p.last_activity),
    (
        "files_with_warnings",
        "Completed files that have warnings, by their newest outcome.",
        lambda p: p.totals.total_with_warnings,
    ),
    ("files_in_flight", "Files being worked on.", lambda p: p.in_flight),
    ("files_queued", "Files known and waiting; absent if the pipeline does not report it.", lambda p: p.queued),
)


def _gauge(
    pipelines: list[PipelineFigures], name: str, text: str, value: Callable[[PipelineFigures], float | None]
) -> Metric:
    return gauge(name, text, ("pipeline",), (((p.pipeline_id,), value(p)) for p in pipelines))


def _histograms(pipelines: list[PipelineFigures]) -> list[Metric]:
    measured = [(p.pipeline_id, p.durations) for p in pipelines if p.durations is not None]
    return [
        histogram(
            "stage_duration_seconds",
            "How long files stayed in a stage.",
            ("pipeline", "stage"),
            (((key, stage), one) for key, durations in measured for stage, one in durations.stages),
        ),
        histogram(
            "file_duration_seconds",
            "How long files took from their start to their end.",
            ("pipeline", "result"),
            (
                ((key, result), one)
                for key, durations in measured
                for result, one in (("completed", durations.completed), ("failed", durations.failed))
            ),
        ),
    ]


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
