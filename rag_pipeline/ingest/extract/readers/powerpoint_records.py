"""The records of a PowerPoint presentation before 2007, which form a tree of containers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from rag_pipeline.errors import CorruptFileError

_MAX_EDITS = 10_000
_MAX_OBJECTS = 1_000_000
_USER_EDIT, _PERSIST_DIRECTORY = 4085, 6002
_TAG_DATA = 5003  # holds records, such as comments, although its head does not say so
_ENCRYPTED_TOKEN = 0xF3D1C4DF


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its type and instance, where its content starts and ends, and whether it holds other records."""

    kind: int
    instance: int
    start: int
    end: int
    is_container: bool


class RecordStream:
    """The stream that holds a presentation."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def record(self, place: int, end: int | None = None) -> Record | None:
        """Return the record at a place; None if there is none."""
        end = len(self.data) if end is None else end
        if place < 0 or place + 8 > end:
            return None
        head, kind, size = struct.unpack_from("<HHI", self.data, place)
        return Record(kind, head >> 4, place + 8, min(place + 8 + size, end), head & 15 == 15 or kind == _TAG_DATA)

    def children(self, parent: Record) -> Iterator[Record]:
        """Yield the records in a container."""
        place = parent.start
        while (record := self.record(place, parent.end)) is not None:
            yield record
            place = record.end

    def content(self, record: Record) -> bytes:
        """Return the content of a record."""
        return self.data[record.start : record.end]

    def objects(self, current_edit: int) -> tuple[dict[int, int], int]:
        """Return the places of the persistent objects by id, newest edits first, and the id of the document."""
        places: dict[int, int] = {}
        document = 0
        seen: set[int] = set()
        while current_edit and current_edit not in seen and len(seen) < _MAX_EDITS:
            seen.add(current_edit)
            edit = self.record(current_edit)
            if edit is None or edit.kind != _USER_EDIT or edit.end - edit.start < 28:
                break
            previous, directory, reference = struct.unpack_from("<III", self.data, edit.start + 8)
            document = document or reference
            for identifier, place in self._directory(directory):
                places.setdefault(identifier, place)
            current_edit = previous
        if not places:
            raise CorruptFileError("it has no list of its slides")
        return places, document

    def _directory(self, place: int) -> Iterator[tuple[int, int]]:
        record = self.record(place)
        if record is None or record.kind != _PERSIST_DIRECTORY:
            return
        at = record.start
        count = 0
        while at + 4 <= record.end and count < _MAX_OBJECTS:
            (entry,) = struct.unpack_from("<I", self.data, at)
            at += 4
            for number in range(entry >> 20):
                if at + 4 > record.end:
                    return
                yield (entry & 0xFFFFF) + number, struct.unpack_from("<I", self.data, at)[0]
                at += 4
                count += 1


def current_edit(user: bytes) -> tuple[int, bool]:
    """Return the place of the newest edit, from the stream of the current user, and whether the file is encrypted."""
    if len(user) < 20:
        raise CorruptFileError("it does not say where its newest version is")
    token, edit = struct.unpack_from("<II", user, 12)
    return edit, token == _ENCRYPTED_TOKEN
