"""Detects gaps: a jump of ``seq`` in the stream means that events are missing, wherever they got lost."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import Entry, StoredBody

_GAP = '{"gap":true,'


class GapDetector:
    """Follows each pipeline's ``seq``. After a jump it withholds the pipeline's events until the next status.

    That status includes the effect of the missing and withheld events, and is delivered as an event with ``gap: true``.
    After file events a status comes within 100 ms.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[str | None, int]] = {}
        self._withheld: set[str] = set()

    def begin(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Start over from the known state of each pipeline; pipelines that are no longer known have a gap."""
        before = self._last
        self._last, self._withheld = {}, set()
        known = tuple(entry for entry in entries if self._follows(entry))
        self._withheld |= before.keys() - self._last.keys()
        return known

    def take(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the entries to deliver, in order."""
        return [taken for entry in entries if (taken := self._take(entry)) is not None]

    def _take(self, entry: Entry) -> Entry | None:
        if self._follows(entry):
            return entry
        pipeline_id = entry.event.pipeline_id or ""
        if entry.event.name != events.STATUS:
            self._withheld.add(pipeline_id)
            return None
        self._withheld.discard(pipeline_id)
        self._last[pipeline_id] = (entry.event.epoch, entry.event.seq)
        return _as_gap(entry)

    def _follows(self, entry: Entry) -> bool:
        """Return whether nothing is missing before the entry; if so, note it."""
        event = entry.event
        pipeline_id = event.pipeline_id or ""
        if pipeline_id in self._withheld:
            return False
        last = self._last.get(pipeline_id)
        if last is None or last[0] != event.epoch:
            follows = event.name == events.STATUS or event.seq <= 1
        else:
            follows = event.seq == last[1] + event.numbered or _is_gap(event)
        if follows:
            self._last[pipeline_id] = (event.epoch, event.seq)
        return follows


def _is_gap(event: PipelineEvent) -> bool:
    if event.name != events.STATUS or not isinstance(event.body, StoredBody) or '"gap":true' not in event.body.text:
        return False
    return event.payload().get("gap") is True  # the text may also be in a field of the user's


def _as_gap(entry: Entry) -> Entry:
    """Return the status as a numbered event that marks a gap."""
    if _is_gap(entry.event):
        return entry
    text = _GAP + entry.text.removeprefix("{")
    return Entry(entry.position, entry.event._replace(body=StoredBody(text), numbered=True), text)
