"""Types of the journal: entries, offsets, file queries, and the protocols of a journal's storage.

An event's *position* is a whole number that rises along the journal; 0 lies before the first event. Its *offset* is the
opaque string that clients get: the identity of the journal's *generation*, then the position. A new generation begins
whenever positions start over or may be used again, so an offset never changes its meaning.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.status.saved import SavedState

logger = logging.getLogger("rag_pipeline.journal")

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_OFFSET = re.compile(r"([0-9a-z]{8,32})-([0-9a-f]{1,32})")

MAX_PAGE = 1000


class Entry:
    """One event with its position; ``text`` is its payload as JSON without the offset, encoded on first use."""

    __slots__ = ("_payload", "_text", "event", "position")

    def __init__(
        self, position: int, event: PipelineEvent, text: str | None = None, payload: Json | None = None
    ) -> None:
        self.position = position
        self.event = event
        self._text = text
        self._payload = payload

    @property
    def cached_text(self) -> str | None:
        """The payload if it was encoded already, else None."""
        return self._text

    def forget_text(self) -> None:
        """Drop the encoded payload; the next use of ``text`` encodes it again."""
        self._text = None

    def try_text(self) -> str:
        """Return the payload, or "" if it can't be encoded; that is logged once, and the event is left out."""
        try:
            return self.text
        except Exception:
            self._text = ""
            event = self.event
            logger.exception("%s %d of %s can't be encoded and is left out", event.name, event.seq, event.pipeline_id)
            return ""

    @property
    def text(self) -> str:
        """The payload as one JSON object."""
        text = self._text
        if text is None:
            text = self._text = encode_payload(event=self.event)
        return text

    def take_payload(self) -> Json:
        """Return the payload parsed; a payload given to the constructor is returned once, then released."""
        payload, self._payload = self._payload, None
        if payload is None:
            payload = json.loads(self.text)
        return payload


class StoredBody(NamedTuple):
    """The body of an event that was read from storage: the JSON text of the whole payload."""

    text: str

    def to_json(self, at: float) -> Json:  # noqa: ARG002 - the protocol's signature
        """Return the whole payload, envelope included."""
        payload: Json = json.loads(self.text)
        return payload


def encode_payload(event: PipelineEvent) -> str:
    """Return the event's payload as JSON, without the offset."""
    body = event.body
    return body.text if isinstance(body, StoredBody) else _encoder.encode(event.payload())


def new_identity() -> str:
    """Return a random identity for a generation."""
    return secrets.token_hex(8)


def offset_of(identity: str, position: int) -> str:
    """Return the offset that clients get for the position."""
    return f"{identity}-{position:x}"


def parse_offset(offset: object) -> tuple[str, int] | None:
    """Return identity and position; None if the value is no offset."""
    match = _OFFSET.fullmatch(offset) if isinstance(offset, str) else None
    return None if match is None else (match[1], int(match[2], 16))


class Generations(NamedTuple):
    """The identity of the current generation, and for each former one the last position that is still valid.

    Storage can come back with less than it had confirmed: after a power loss, or from a backup. It then reuses the
    positions of the lost events. So whenever that may have happened, a new generation begins at the position that the
    storage had then. Later positions of the former generation are no longer valid.
    """

    identity: str
    former: Mapping[str, int] = MappingProxyType({})

    @classmethod
    def of(cls, generations: Iterable[tuple[str, int]]) -> Self:
        """Build from (identity, start) pairs, oldest first; there must be at least one."""
        (identity, end), *older = reversed([*generations])
        former: dict[str, int] = {}
        for before, start in older:
            former[before] = end
            end = min(end, start)
        return cls(identity, former)

    def position_of(self, offset: object) -> int | None:
        """Return the offset's position; None if it belongs to another journal or to lost events."""
        parsed = parse_offset(offset)
        if parsed is None:
            return None
        identity, position = parsed
        if identity == self.identity:
            return position
        return position if position <= self.former.get(identity, -1) else None


class FileStatus(StrEnum):
    """The state of a file, as ``GET /files`` filters by it."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    DELETED = "deleted"


class FileQuery(NamedTuple):
    """A query for files, most recently changed first.

    ``text`` is searched in names and error messages, ignoring case. ``warnings`` selects completed files with warnings,
    or, if False, all others. ``before`` is a position: only files that changed before it are listed. ``limit`` is at
    most :data:`MAX_PAGE`.
    """

    status: FileStatus | None = None
    text: str | None = None
    pipeline_id: str | None = None
    before: int | None = None
    limit: int = 100
    warnings: bool | None = None


class FileMatch(NamedTuple):
    """A file as of its last event: ``position`` is that event's, ``file`` the JSON that users see."""

    position: int
    pipeline_id: str
    status: FileStatus
    changed_at: float
    file: Mapping[str, Any]


class JournalReader(Protocol):
    """Reads events; any thread may call it. Raises :class:`~rag_pipeline.errors.JournalError` when storage fails."""

    @property
    def newest(self) -> int:
        """The position of the last event, 0 if there was none."""
        ...

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still there."""
        ...

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        ...


class LocalJournal(JournalReader, Protocol):
    """A journal that only this process writes."""

    @property
    def generations(self) -> Generations:
        """The generations of its offsets."""
        ...

    def append(self, events: Sequence[PipelineEvent]) -> list[Entry]:
        """Store all of the events or none; on return they outlive the process.

        An event that is not ``numbered`` is not stored. What it says of the pipeline is, and its entry has the position
        of the event before it. An error other than JournalError means that an event can't be stored.
        """
        ...

    def saved_states(self) -> Mapping[str, SavedState]:
        """Return the state that each pipeline resumes from, by pipeline id."""
        ...

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        ...

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        """Return the position of the newest ``pipeline:status`` by pipeline id and namespace."""
        ...

    def has_all_files(self) -> bool:
        """Return whether the list of files is complete: no event was ever dropped before it was stored."""
        ...

    def size(self) -> Mapping[str, Any]:
        """Return ``kind``, ``events`` (the number stored) and other sizes for ``/health``."""
        ...

    def close(self) -> None:
        """Release all resources; idempotent."""
        ...
