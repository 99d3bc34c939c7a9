"""Resume a pipeline from the state that a journal has saved of its last process."""

from __future__ import annotations

from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileBody, FileFailure, FileRecord, FileTotals
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.outcomes import FAILED, NONE, kind_of
from rag_pipeline.status.recent import MOST, FileList, last_of_each
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.state import PipelineState
from rag_pipeline.status.values import MAX_SHOWN_RESULT_CHARACTERS, copy_json, fitting_own, shown_result


def decide_resume(state: PipelineState, saved: SavedState, now: Moment) -> Mutation:
    """Take over ``seq``, totals, lists and own fields; files that were in flight are marked as failed.

    The counts of this process so far are added. If it has numbered any event, it keeps its own epoch: no journal has
    these events, and continuing the numbers would hide them.
    """
    epoch, seq = (saved.epoch, saved.seq) if state.seq == 0 else (state.epoch, state.seq)
    outcomes, totals = _outcomes(state, saved)
    lost = [file for file in saved.in_flight if key_of(file.name, file.id) not in state.files]
    interrupted = tuple(file.finished(file.id, now.wall, None, None, _interruption(file)) for file in lost)
    failures: list[PipelineEvent] = []
    for file in interrupted:
        key = key_of(file.name, file.id)
        totals = totals.moved(outcomes.get(key, NONE), FAILED)
        outcomes[key] = FAILED
        namespaces = events.namespaces_of(state.pipeline_type)
        seq += 1
        failures.append(
            PipelineEvent(
                events.FILE_FAILED, namespaces, state.pipeline_id, state.pipeline_type, epoch, seq, now.wall,
                FileBody(file, totals),
            )
        )  # fmt: skip
    recent = _recent(state, saved, interrupted, outcomes)
    attempts = [*saved.failed_attempts, *((key_of(file.name, file.id), file.attempt) for file in interrupted)]
    own = fitting_own(saved.own, state.own)
    fields = dict(state.fields)
    if fields["last_check_time"] is None:
        fields["last_check_time"] = saved.fields.get("last_check_time")

    def apply() -> None:
        state.epoch, state.seq, state.own, state.fields = epoch, seq, own, fields
        for key, outcome in outcomes.items():
            state.outcomes.set(key, outcome)
        for key, attempt in attempts:
            state.files.remember_failure(key, attempt)
        state.totals, state.recent, state.interrupted = totals, recent, interrupted
        state.resumed_from = saved.epoch, saved.seq

    return Mutation(now, apply, (), tuple(failures))


def _outcomes(state: PipelineState, saved: SavedState) -> tuple[dict[Key, int], FileTotals]:
    """Return the saved outcomes of files that this process has not seen, and the totals of all files."""
    unseen: dict[Key, int] = {}
    totals = FileTotals(*(before + since for before, since in zip(saved.totals, state.totals, strict=True)))
    for key, outcome in saved.outcomes:
        if key not in state.files and state.outcomes.get(key) == NONE:
            unseen[key] = outcome
        else:
            totals = totals.moved(outcome, NONE)  # this process has counted it already
    return unseen, totals


def _recent(state: PipelineState, saved: SavedState, interrupted: FileList, outcomes: dict[Key, int]) -> list[FileList]:
    def current(key: Key) -> int:
        return -1 if key in state.files else kind_of(outcomes.get(key) or state.outcomes.get(key))

    before = ((), saved.completed, (*saved.failed, *interrupted), saved.skipped, ())
    recent: list[FileList] = []
    for outcome, files in enumerate(before):
        standing = [file for file in files if current(key_of(file.name, file.id)) in (outcome, NONE)]
        recent.append(last_of_each([*map(_bounded, standing), *state.recent[outcome]], MOST[outcome]))
    return recent


def _bounded(file: FileRecord) -> FileRecord:
    result: Any = file.result
    if result is None or copy_json("result", result, _ignore).size <= MAX_SHOWN_RESULT_CHARACTERS:
        return file
    return file._replace(result=shown_result(result))


def _ignore(error: Exception) -> None:
    """Report nothing."""


def _interruption(file: FileRecord) -> FileFailure:
    return FileFailure("Interrupted", "the process ended while the file was in flight", file.stage, retryable=True)
