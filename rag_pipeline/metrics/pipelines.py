"""The metrics of pipelines: of this process as they stand, of others as their events show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from rag_pipeline.broadcast.remote_states import STALLED
from rag_pipeline.metrics.families import counter, gauge, histogram, info
from rag_pipeline.status import StatusCore
from rag_pipeline.status.model import Totals
from rag_pipeline.status.stages import Durations

STATES = ("initializing", "scanning", "idle", "running", "processing", "paused", "error", "stopped", STALLED)
OWN_STATE = "other"
RESULTS = ("completed", "failed", "skipped", "deleted")


class Figures(NamedTuple):
    """What is told of one pipeline; times are wall-clock seconds.

    ``totals`` counts files by their newest outcome, ``ended`` how often any file came to that end. ``durations`` is
    None for one of another process: they are measured where the files are worked on.
    """

    pipeline_id: str
    pipeline_type: str | None
    status: str
    last_activity: float | None
    last_success: float | None
    totals: Totals
    in_flight: int
    queued: int | None
    ended: Totals
    durations: Durations | None = None


def figures_of(pipeline: StatusCore) -> Figures:
    """Return the figures of a pipeline of this process, all as of one moment."""
    state, durations = pipeline.measured()
    return Figures(
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


def figures_from(state: Mapping[str, Any], ended: Totals) -> Figures:
    """Return the figures of a pipeline as its state, in JSON, shows them; ``ended`` was counted beside it."""
    completed = state["files_completed"]
    return Figures(
        state["pipeline_id"],
        state["pipeline_type"],
        state["status"],
        _seconds(state["last_activity"]),
        _seconds(completed[-1]["completed_at"]) if completed else None,
        Totals(*(state[name] for name in Totals._fields)),
        state["files_in_flight"],
        state["files_queued"],
        ended,
    )


def pipeline_families(pipelines: Iterable[Figures]) -> list[Metric]:
    """Return the families; a pipeline that is given twice counts as it was given first."""
    by_id: dict[str, Figures] = {}
    for figures in pipelines:
        by_id.setdefault(figures.pipeline_id, figures)
    shown = list(by_id.values())
    return [
        info("info", "The pipeline, and its type.", [_identity(p) for p in shown]),
        *(_gauge(shown, *one) for one in _GAUGES),
        gauge(
            "state",
            "1 for the state the pipeline is in, 0 for the others; other is a word of the pipeline's own.",
            ("pipeline", "state"),
            (((p.pipeline_id, state), state == _state(p)) for p in shown for state in (*STATES, OWN_STATE)),
        ),
        gauge(
            "files",
            "Files by their newest outcome, since the pipeline's first file; each file counts once.",
            ("pipeline", "result"),
            (((p.pipeline_id, r), count) for p in shown for r, count in zip(RESULTS, p.totals, strict=True)),
        ),
        counter(
            "files_total",
            "How often a file came to that end, since the process began; each attempt counts.",
            ("pipeline", "result"),
            (((p.pipeline_id, r), count) for p in shown for r, count in zip(RESULTS, p.ended, strict=True)),
        ),
        *_histograms(shown),
    ]


def _identity(pipeline: Figures) -> dict[str, str]:
    return {"pipeline": pipeline.pipeline_id, "type": pipeline.pipeline_type or ""}


def _state(pipeline: Figures) -> str:
    return pipeline.status if pipeline.status in STATES else OWN_STATE


_GAUGES: tuple[tuple[str, str, Callable[[Figures], float | None]], ...] = (
    ("up", "1, or 0 when the pipeline's process gives no sign of life.", lambda p: p.status != STALLED),
    ("in_error", "1 when the pipeline says that it is in error.", lambda p: p.status == "error"),
    ("last_success_timestamp_seconds", "When a file was completed last.", lambda p: p.last_success),
    ("last_activity_timestamp_seconds", "When anything about the pipeline changed last.", lambda p: p.last_activity),
    ("files_in_flight", "Files being worked on.", lambda p: p.in_flight),
    ("files_queued", "Files known and waiting; absent while the pipeline does not say.", lambda p: p.queued),
)


def _gauge(pipelines: list[Figures], name: str, text: str, value: Callable[[Figures], float | None]) -> Metric:
    return gauge(name, text, ("pipeline",), (((p.pipeline_id,), value(p)) for p in pipelines))


def _histograms(pipelines: list[Figures]) -> list[Metric]:
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
