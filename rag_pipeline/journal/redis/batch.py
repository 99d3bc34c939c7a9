"""Batches: what is written to Redis at once, as a whole or not at all, and once however often it is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rag_pipeline.contract.events import Event
from rag_pipeline.journal.base import FileStatus, encode_payload
from rag_pipeline.journal.files import STATUS_OF, file_of, keys_of, pack
from rag_pipeline.journal.gap import GapBody
from rag_pipeline.journal.redis.append import APPEND
from rag_pipeline.journal.redis.connection import Link, RedisRefusedError
from rag_pipeline.journal.redis.generations import adopt, mark_of
from rag_pipeline.journal.redis.keys import Keys, text_of_key
from rag_pipeline.journal.redis.lease import Holder, Verdict, Word, identity_changed, read_verdicts, unwritable
from rag_pipeline.status.files import key_of
from rag_pipeline.status.model import FileBody, FileRecord, StateBody, Totals
from rag_pipeline.status.saved import SET_FIELDS

MAX_BATCH = 500
MAX_BATCH_BYTES = 4 << 20
MAX_EVENTS = 100_000
MAX_FILES = 100_000

_ITEM_LENGTH = 16  # beside the number of the pipeline
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Row(NamedTuple):
    """A file to be shown as it is, without an event."""

    pipeline_id: str
    at: float
    file: FileRecord
    status: FileStatus


class Reset(NamedTuple):
    """The recent lists are to be forgotten, and if ``in_flight`` the files in flight too: rows and events follow."""

    pipeline_id: str
    in_flight: bool


Item = Event | Row | Reset


class Line(NamedTuple):
    """An item as it is sent: the arguments of the script after the pipeline's number, and about how many bytes."""

    pipeline_id: str
    texts: list[str]
    size: int

    @classmethod
    def of(cls, item: Item) -> Line:
        """Return the line of an item."""
        texts = _event(item) if isinstance(item, Event) else _other(item)
        return cls(item.pipeline_id or "", texts, sum(map(len, texts)))


class Batch(NamedTuple):
    """Lines and the number they are known by; one that is sent again must be the same in both."""

    number: int
    lines: Sequence[Line]
    pipeline_ids: list[str]


class Written(NamedTuple):
    """What became of a batch: a verdict for each pipeline, an entry id for each item, empty if it has none."""

    verdicts: dict[str, Verdict]
    ids: list[str]


class BatchWriter:
    """Numbers and writes batches for one holder of leases; belongs to one thread."""

    def __init__(
        self, link: Link, keys: Keys, holder: Holder, *, max_events: int = MAX_EVENTS, max_files: int = MAX_FILES
    ) -> None:
        self.identity = ""
        self.confirmed: dict[str, int] = {}
        self._link = link
        self._keys = keys
        self._holder = holder
        self._limits = (max_events, max_files)
        self._number = 0
        self._checks = True

    def adopt(self) -> bool:
        """Write to the journal as it is called now; return False if it is empty, and was not before.

        What one that was started anew has lost, it says of each batch.
        """
        lineage = adopt(self._link, self._keys)
        before, self.identity = self.identity, lineage.identity
        return bool(lineage.former) or before in ("", lineage.identity)

    def batch(self, lines: Sequence[Line]) -> Batch:
        """Return the lines as the next batch."""
        self._number += 1
        return Batch(self._number, lines, list(dict.fromkeys(line.pipeline_id for line in lines)))

    def write(self, batch: Batch) -> Written:
        """Write what the server lets this holder write; raises IdentityChangedError if the journal is another.

        A server that refuses is asked again, with a look at keys and permissions first: then it writes nothing of what
        it would have to leave in the middle, and all the rest.
        """
        # What was found fit may not be so any more, on a new connection.
        self._checks = self._checks or not self._link.connected
        arguments = self._arguments(batch)
        try:
            answer = self._run(arguments)
        except RedisRefusedError:
            if self._checks:
                raise
            self._checks = True
            answer = self._run(arguments)
        if answer[0] == "identity":
            raise identity_changed(self._link)
        if answer[0] == "refused":
            raise unwritable(self._link, answer[1])
        verdicts = read_verdicts(batch.pipeline_ids, answer[1])
        self._checks = any(verdict.word in (Word.TORN, Word.BROKEN) for verdict in verdicts.values())
        for pipeline_id, verdict in verdicts.items():
            if verdict.word in (Word.OK, Word.WRITTEN, Word.TORN):
                self.confirmed[pipeline_id] = batch.number
        return Written(verdicts, answer[2])

    def _run(self, arguments: list[str | int]) -> Any:
        keys = [self._keys.events, self._keys.identity, self._keys.count]
        return self._link.run(APPEND, keys, [*arguments[:6], int(self._checks), *arguments[6:]])

    def _arguments(self, batch: Batch) -> list[str | int]:
        where = {pipeline_id: str(n) for n, pipeline_id in enumerate(batch.pipeline_ids, 1)}
        mark = mark_of(self._link, self.identity)
        arguments: list[str | int] = [self._keys.prefix, mark, self._holder.token, batch.number, *self._limits]
        arguments.append(len(where))
        for pipeline_id in where:
            arguments += (pipeline_id, self.confirmed.get(pipeline_id, 0))
        for line in batch.lines:
            arguments.append(where[line.pipeline_id])
            arguments += line.texts
        return arguments


class Continuity:
    """What each pipeline's last item was, so that one that doesn't follow on from it is noticed."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}
        self._torn: set[str] = set()

    def is_old(self, event: Event) -> bool:
        """Return whether the event was taken already, or a later state stands for it."""
        epoch, seq = self._last.get(event.pipeline_id or "", (None, 0))
        return epoch == event.epoch and event.seq < seq + event.numbered

    def misses(self, event: Event) -> bool:
        """Return whether events between the last one and this are missing."""
        epoch, seq = self._last.get(event.pipeline_id or "", (None, 0))
        return epoch == event.epoch and event.seq > seq + event.numbered

    def take(self, event: Event, *, gap: bool = False) -> list[Item]:
        """Return what to write for the event; after a jump a status sets right what is known of files."""
        pipeline_id = event.pipeline_id or ""
        epoch, seq = self._last.get(pipeline_id, (None, 0))
        if gap or epoch != event.epoch or event.seq != seq + event.numbered:
            self._torn.add(pipeline_id)
        self._last[pipeline_id] = (event.epoch or "", event.seq)
        if pipeline_id in self._torn and isinstance(event.body, StateBody):
            self._torn.remove(pipeline_id)
            return state_items(event, event.body, gap=gap)
        return [event]

    def reached(self, event: Event) -> bool:
        """Return whether everything up to this event was taken."""
        epoch, seq = self._last.get(event.pipeline_id or "", (None, 0))
        return epoch == event.epoch and seq >= event.seq

    def forget(self, pipeline_id: str) -> None:
        """Begin anew with the pipeline's next event."""
        self._last.pop(pipeline_id, None)


def state_items(status: Event, body: StateBody, *, gap: bool = False) -> list[Item]:
    """Return what makes the server know a pipeline as its status shows it, the files it shows too.

    Of files in flight a status shows the last 100; if there are more, those known to the server stay.
    """
    pipeline_id = status.pipeline_id or ""
    ended = [
        Row(pipeline_id, file.completed_at or status.at, file, kind)
        for files, kind in (
            (body.files_completed, FileStatus.COMPLETED), (body.files_failed, FileStatus.FAILED),
            (body.files_skipped, FileStatus.SKIPPED),
        )
        for file in files
    ]  # fmt: skip
    ended.sort(key=lambda row: row.at)
    working = [
        Row(pipeline_id, file.last_progress_at or file.started_at or status.at, file, FileStatus.PROCESSING)
        for file in body.files_processing
    ]
    # A gap is an event like others, so that whoever asks for those that it stands for gets it.
    shown = status._replace(body=GapBody(body), numbered=True) if gap else status
    return [Reset(pipeline_id, body.files_in_flight == len(working)), *ended, *working, shown]


def _other(item: Row | Reset) -> list[str]:
    texts = ["reset" if isinstance(item, Reset) else "row", *[""] * (_ITEM_LENGTH - 1)]
    if isinstance(item, Reset):
        texts[5] = "files too" if item.in_flight else ""
    else:
        texts[5] = repr(item.at)
        texts[11:] = (
            text_of_key(key_of(item.file.name, item.file.id)),
            "",
            item.status,
            pack(item.file),
            str(item.file.attempt),
        )
    return texts


def _event(event: Event) -> list[str]:
    fields = own = totals = ""
    body = event.body.state if isinstance(event.body, GapBody) else event.body
    if isinstance(body, StateBody):
        fields, own = _encode({name: getattr(body, name) for name in SET_FIELDS}), _encode(body.own)
        totals = _encode(body.totals)
    elif isinstance(body, FileBody) and isinstance(body.totals, Totals):
        totals = _encode(body.totals)
    return [
        event.name,
        " ".join(event.namespaces),
        event.pipeline_type or "",
        event.epoch or "",
        str(event.seq),
        repr(event.at),
        "1" if event.numbered else "0",
        encode_payload(event),
        fields,
        own,
        totals,
        *_file(event),
    ]


def _file(event: Event) -> tuple[str, str, str, str, str]:
    file = file_of(event)
    if file is None:
        return "", "", "", "", ""
    key, other = keys_of(file)
    status = STATUS_OF[event.name]
    return text_of_key(key), "" if other is None else text_of_key(other), status, pack(file), str(file.attempt)
