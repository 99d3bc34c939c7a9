"""What a journal is: one ordered, bounded sequence of events, and what can be asked of it.

An event's *position* is a whole number that rises along the journal; 0 lies before the first. Its *offset* is the
opaque string that clients get: the identity of the journal's *generation* and the position. A generation begins
whenever positions start over, or may be given again, so that what an offset stands for never changes.
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

from rag_pipeline.contract.events import Event, Json
from rag_pipeline.status.saved import SavedState

logger = logging.getLogger("rag_pipeline.journal")

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_OFFSET = re.compile(r"([0-9a-z]{8,32})-([0-9a-f]{1,32})")

MAX_PAGE = 1000


class Entry:
    """One event at its place in the journal; ``text`` is its payload as JSON, without the offset, made when asked."""

    __slots__ = ("_payload", "_text", "event", "position")

    def __init__(self, position: int, event: Event, text: str | None = None, payload: Json | None = None) -> None:
        self.position = position
        self.event = event
        self._text = text
        self._payload = payload

    @property
    def made_text(self) -> str | None:
        """The payload, None if nobody has asked for it yet."""
        return self._text

    def forget_text(self) -> None:
        """Drop the payload; it is made anew when asked for."""
        self._text = None

    def try_text(self) -> str:
        """Return the payload, empty if it can't be encoded, which is logged once: the event is left out then."""
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
        """Return the payload; one that was parsed already is handed over and not kept."""
        payload, self._payload = self._payload, None
        if payload is None:
            payload = json.loads(self.text)
        return payload


class StoredBody(NamedTuple):
    """The body of an event that was read from a store: its payload is the JSON text it was stored as."""

    text: str

    def to_json(self, at: float) -> Json:  # noqa: ARG002 - the protocol's signature
        """Return the whole payload, envelope and all: it is the same."""
        payload: Json = json.loads(self.text)
        return payload


def encode_payload(event: Event) -> str:
    """Return the event's payload as JSON, without an offset."""
    body = event.body
    return body.text if isinstance(body, StoredBody) else _encoder.encode(event.payload())


def new_identity() -> str:
    """Return an identity that no other generation of any journal has."""
    return secrets.token_hex(8)


def offset_of(identity: str, position: int) -> str:
    """Return the string clients know the position by."""
    return f"{identity}-{position:x}"


def parse_offset(offset: object) -> tuple[str, int] | None:
    """Return identity and position, None for what was never an offset."""
    match = _OFFSET.fullmatch(offset) if isinstance(offset, str) else None
    return None if match is None else (match[1], int(match[2], 16))


class Lineage(NamedTuple):
    """The generations of a journal: the identity of the present one, and up to where each former one still holds.

    A store can come back with less than it had confirmed: after a loss of power, or from a copy. It then gives the
    positions of the lost stretch to other events. So a generation begins wherever that may have happened, at the
    position that the store had then, and what the former one made after that position is not there any more.
    """

    identity: str
    former: Mapping[str, int] = MappingProxyType({})

    @classmethod
    def of(cls, generations: Iterable[tuple[str, int]]) -> Self:
        """Return it from each generation's identity and start, the oldest first; there must be one."""
        (identity, end), *older = reversed([*generations])
        former: dict[str, int] = {}
        for before, start in older:
            former[before] = end
            end = min(end, start)
        return cls(identity, former)

    def position_of(self, offset: object) -> int | None:
        """Return the position an offset stands for; None for one of another journal, or of what was lost."""
        parsed = parse_offset(offset)
        if parsed is None:
            return None
        identity, position = parsed
        if identity == self.identity:
            return position
        return position if position <= self.former.get(identity, -1) else None


class FileStatus(StrEnum):
    """Where a file stands, as ``GET /files`` asks for it."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    DELETED = "deleted"


class FileQuery(NamedTuple):
    """Which files to list, the newest first.

    ``text`` is looked for in names and error messages, whatever the case; ``before`` is a position: of files that
    changed before it. ``limit`` is at most :data:`MAX_PAGE`.
    """

    status: FileStatus | None = None
    text: str | None = None
    pipeline_id: str | None = None
    before: int | None = None
    limit: int = 100


class FileRow(NamedTuple):
    """A file's last event: ``file`` is what users see of it, ``position`` where it last changed."""

    position: int
    pipeline_id: str
    status: FileStatus
    changed_at: float
    file: Mapping[str, Any]


class Journal(Protocol):
    """Keeps events; any thread may call it. Raises :class:`~rag_pipeline.errors.JournalError` when the store fails."""

    @property
    def lineage(self) -> Lineage:
        """Whose offsets it knows."""
        ...

    @property
    def newest(self) -> int:
        """The position of the last event, 0 if there was none."""
        ...

    def append(self, events: Sequence[Event]) -> list[Entry]:
        """Keep the events, all or none; on return they outlive the process.

        Any other error than JournalError is one of an event, which can't be kept: none of them is.

        One that is not ``numbered`` is not kept: what it shows of the pipeline is, and its entry has the position of
        the event before it.
        """
        ...

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still there."""
        ...

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        ...

    def saved(self) -> Mapping[str, SavedState]:
        """Return what each pipeline goes on from, by its id."""
        ...

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first."""
        ...

    def size(self) -> Mapping[str, Any]:
        """Return ``events`` (how many are kept) and what else is worth showing in ``/health``."""
        ...

    def close(self) -> None:
        """Release what it holds; idempotent."""
        ...


class Store(Journal, Protocol):
    """A journal of this process alone, which a service begins with."""

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        """Return the position of the newest ``pipeline:status`` of each pipeline in each namespace."""
        ...

    def is_whole(self) -> bool:
        """Return whether its files are all there are: no events were ever dropped on the way to it."""
        ...
