"""Batches of events for Redis: each is written once, as a whole, however often it is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import FileStatus, encode_payload
from rag_pipeline.journal.files import STATUS_OF, file_of, is_warned, key_to_text, keys_of, pack
from rag_pipeline.journal.gap import GapBody
from rag_pipeline.journal.redis.connection import RedisConnection, RedisRefusedError
from rag_pipeline.journal.redis.generations import adopt, mark_of
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import LeaseOwner, ScriptResult, ScriptStatus, raise_unless_done, read_results
from rag_pipeline.journal.redis.scripts import APPEND
from rag_pipeline.status.files import key_of
from rag_pipeline.status.model import FileBody, FileRecord, FileTotals, StateBody
from rag_pipeline.status.saved import SET_FIELDS

MAX_BATCH = 500
MAX_BATCH_BYTES = 4 << 20
MAX_EVENTS = 100_000
MAX_FILES = 100_000

_ITEM_LENGTH = 17  # plus the number of the pipeline
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class FileRepair(NamedTuple):
    """Sets the row of a file without an event, because its events may be missing."""

    pipeline_id: str
    at: float
    file: FileRecord
    status: FileStatus


class FileReset(NamedTuple):
    """Clears the lists of recent files, and with ``in_flight`` the files in flight too; repairs follow."""

    pipeline_id: str
    in_flight: bool


Item = PipelineEvent | FileRepair | FileReset


class EncodedItem(NamedTuple):
    """An item as arguments of the script, without the pipeline's number; ``size`` is about its bytes."""

    pipeline_id: str
    texts: list[str]
    size: int

    @classmethod
    def of(cls, item: Item) -> EncodedItem:
        """Encode the item."""
        texts = _encode_event(item) if isinstance(item, PipelineEvent) else _encode_repair(item)
        return cls(item.pipeline_id or "", texts, sum(map(len, texts)))


class WriteBatch(NamedTuple):
    """Items with the number of their batch; both must be the same when it is sent again."""

    number: int
    items: Sequence[EncodedItem]
    pipeline_ids: list[str]


class BatchResult(NamedTuple):
    """The result of a batch: by pipeline, and the entry id of each item, "" if it has none."""

    results: dict[str, ScriptResult]
    ids: list[str]


class BatchWriter:
    """Numbers and writes the batches of one lease owner; belongs to one thread.

    ``confirmed`` has the number of the last confirmed batch by pipeline.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: RedisKeys,
        owner: LeaseOwner,
        *,
        max_events: int = MAX_EVENTS,
        max_files: int = MAX_FILES,
    ) -> None:
        self.identity = ""
        self.confirmed: dict[str, int] = {}
        self._connection = connection
        self._keys = keys
        self._owner = owner
        self._limits = (max_events, max_files)
        self._number = 0
        self._checks = True

    def adopt(self) -> bool:
        """Take over the journal's current identity; return False if the journal was emptied.

        What a restarted server has lost shows in the result of each batch.
        """
        generations = adopt(self._connection, self._keys)
        before, self.identity = self.identity, generations.identity
        return bool(generations.former) or before in ("", generations.identity)

    def batch(self, items: Sequence[EncodedItem]) -> WriteBatch:
        """Return the items as the next batch."""
        self._number += 1
        return WriteBatch(self._number, items, list(dict.fromkeys(item.pipeline_id for item in items)))

    def write(self, batch: WriteBatch) -> BatchResult:
        """Write the pipelines that this owner has leases of; raises IdentityChangedError if the journal is another.

        If the server refuses, the batch is sent again with checks of keys and permissions. It then skips the pipelines
        that would fail halfway, and writes the others.
        """
        # After a reconnect, earlier checks may no longer hold.
        self._checks = self._checks or not self._connection.connected
        arguments = self._arguments(batch)
        try:
            answer = self._run(arguments)
        except RedisRefusedError:
            if self._checks:
                raise
            self._checks = True
            answer = self._run(arguments)
        raise_unless_done(self._connection, answer)
        results = read_results(batch.pipeline_ids, answer[1])
        self._checks = any(result.status in (ScriptStatus.TORN, ScriptStatus.BROKEN) for result in results.values())
        for pipeline_id, result in results.items():
            if result.status in (ScriptStatus.OK, ScriptStatus.WRITTEN, ScriptStatus.TORN):
                self.confirmed[pipeline_id] = batch.number
        return BatchResult(results, answer[2])

    def _run(self, arguments: list[str | int]) -> Any:
        keys = [self._keys.events, self._keys.identity, self._keys.count]
        return self._connection.run(APPEND, keys, [*arguments[:6], int(self._checks), *arguments[6:]])

    def _arguments(self, batch: WriteBatch) -> list[str | int]:
        numbers = {pipeline_id: str(n) for n, pipeline_id in enumerate(batch.pipeline_ids, 1)}
        mark = mark_of(self._connection, self.identity)
        arguments: list[str | int] = [self._keys.prefix, mark, self._owner.token, batch.number, *self._limits]
        arguments.append(len(numbers))
        for pipeline_id in numbers:
            arguments += (pipeline_id, self.confirmed.get(pipeline_id, 0))
        for item in batch.items:
            arguments.append(numbers[item.pipeline_id])
            arguments += item.texts
        return arguments


def state_items(status: PipelineEvent, body: StateBody, *, gap: bool = False) -> list[Item]:
    """Return the items that make the server's files agree with a status.

    A status shows the last 100 files in flight; if there are more, the server keeps those it has.
    """
    pipeline_id = status.pipeline_id or ""
    ended = [
        FileRepair(pipeline_id, file.completed_at or status.at, file, file_status)
        for files, file_status in (
            (body.files_completed, FileStatus.COMPLETED), (body.files_failed, FileStatus.FAILED),
            (body.files_skipped, FileStatus.SKIPPED),
        )
        for file in files
    ]  # fmt: skip
    ended.sort(key=lambda repair: repair.at)
    in_flight = [
        FileRepair(pipeline_id, file.last_progress_at or file.started_at or status.at, file, FileStatus.PROCESSING)
        for file in body.files_processing
    ]
    # Numbered, so a client that asks for the missing events gets it.
    sent_status = status._replace(body=GapBody(body), numbered=True) if gap else status
    return [FileReset(pipeline_id, body.files_in_flight == len(in_flight)), *ended, *in_flight, sent_status]


def _encode_repair(item: FileRepair | FileReset) -> list[str]:
    texts = ["reset" if isinstance(item, FileReset) else "row", *[""] * (_ITEM_LENGTH - 1)]
    if isinstance(item, FileReset):
        texts[5] = "files too" if item.in_flight else ""
    else:
        texts[5] = repr(item.at)
        texts[11:] = (
            key_to_text(key_of(item.file.name, item.file.id)),
            "",
            item.status,
            pack(item.file),
            str(item.file.attempt),
            _flag(is_warned(item.status, item.file)),
        )
    return texts


def _encode_event(event: PipelineEvent) -> list[str]:
    fields = own = totals = ""
    body = event.body.state if isinstance(event.body, GapBody) else event.body
    if isinstance(body, StateBody):
        fields, own = _encode({name: getattr(body, name) for name in SET_FIELDS}), _encode(body.own)
        totals = _encode(body.totals)
    elif isinstance(body, FileBody) and isinstance(body.totals, FileTotals):
        totals = _encode(body.totals)
    return [
        event.name,
        " ".join(event.namespaces),
        event.pipeline_type or "",
        event.epoch or "",
        str(event.seq),
        repr(event.at),
        _flag(event.numbered),
        encode_payload(event),
        fields,
        own,
        totals,
        *_encode_file(event),
    ]


def _encode_file(event: PipelineEvent) -> tuple[str, str, str, str, str, str]:
    file = file_of(event)
    if file is None:
        return "", "", "", "", "", ""
    key, other = keys_of(file)
    status = STATUS_OF[event.name]
    other_text = "" if other is None else key_to_text(other)
    warned = _flag(is_warned(status, file))
    return key_to_text(key), other_text, status, pack(file), str(file.attempt), warned


def _flag(value: bool) -> str:
    return "1" if value else "0"
