"""The lists and styles of a Word document before 2007, from which the numbers of its paragraphs follow."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rag_pipeline.ingest.extract.readers.word_styles import Level, Numbering, Styles

_STYLES, _LISTS, _LIST_USES = 0xA2, 0x2E2, 0x2EA  # the places of the tables in the header
OUTLINE, LIST, LIST_LEVEL = 0x2640, 0x460B, 0x260A
_FORMATS = {1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 5: "ordinal", 22: "decimalZero",
            23: "bullet", 255: "none"}  # fmt: skip
_SIZES = (1, 1, 2, 4, 2, 2, 0, 3)  # of a property's value, by the upper bits of its number
_LEVELS, _MAX_BASES = 9, 20
_MAX_LISTS = 10_000
_NO_STYLES = Styles()

TableAt = Callable[[int], tuple[bytes, int]]
"""Returns the stream with the tables from the start of one, whose place is in the header, and the table's size."""


def properties(data: bytes) -> dict[int, int]:
    """Return the values of one or two bytes among a list of properties."""
    found: dict[int, int] = {}
    at = 0
    while at + 3 <= len(data):
        number = int.from_bytes(data[at : at + 2], "little")
        size = _SIZES[number >> 13]
        if number >> 13 == 6:
            size = 1 + data[at + 2] if number != 0xD608 else 1 + int.from_bytes(data[at + 2 : at + 4], "little")
        elif size <= 2:
            found[number] = int.from_bytes(data[at + 2 : at + 2 + size], "little")
        at += 2 + size
    return found


@dataclass(frozen=True, slots=True)
class _Style:
    base: int
    values: Mapping[int, int]


class WordLists:
    """Counts the paragraphs of lists. Damaged tables count as missing ones: only numbers depend on them."""

    def __init__(self, table_at: TableAt) -> None:
        self._numbering = Numbering()
        self._styles: list[_Style | None] = []
        self._resolved: dict[int, dict[int, int]] = {}
        for read, place in ((self._read_styles, _STYLES), (self._read_lists, _LISTS), (self._read_uses, _LIST_USES)):
            data, size = table_at(place)
            try:
                read(data, size)
            except (struct.error, IndexError):
                continue

    def resolve(self, style: int) -> Mapping[int, int]:
        """Return the properties of a style with those of the styles it is based on."""
        found = self._resolved.get(style)
        if found is None:
            found, at = {}, style
            for _ in range(_MAX_BASES):
                entry = self._styles[at] if 0 <= at < len(self._styles) else None
                if entry is None:
                    break
                found = {**entry.values, **found}
                at = entry.base
            self._resolved[style] = found
        return found

    def label(self, values: Mapping[int, int]) -> str:
        """Count a paragraph with these properties, and return its number as shown; empty without one."""
        number = values.get(LIST, 0)
        return self._numbering.label(str(number), values.get(LIST_LEVEL, 0), "", _NO_STYLES) if number else ""

    def _read_styles(self, data: bytes, size: int) -> None:
        data = data[:size]
        header, count, base_bytes = struct.unpack_from("<HHH", data)
        at = 2 + header
        for _ in range(count):
            (length,) = struct.unpack_from("<H", data, at)
            self._styles.append(_style(data[at + 2 : at + 2 + length], base_bytes) if length else None)
            at += 2 + length

    def _read_lists(self, data: bytes, size: int) -> None:
        (count,) = struct.unpack_from("<H", data)
        at = size  # the levels follow the table
        for number in range(min(count, _MAX_LISTS)):
            start = 2 + 28 * number
            (identifier,) = struct.unpack_from("<I", data, start)
            levels: dict[int, Level] = {}
            for level in range(1 if data[start + 26] & 1 else _LEVELS):
                levels[level], at = _level(data, at)
            self._numbering.define(str(identifier), levels)

    def _read_uses(self, data: bytes, size: int) -> None:
        (count,) = struct.unpack_from("<I", data)
        count = min(count, _MAX_LISTS)
        at = 4 + 16 * count
        for number in range(count):
            (identifier,) = struct.unpack_from("<I", data, 4 + 16 * number)
            starts: dict[int, int] = {}
            levels: dict[int, Level] = {}
            if at < size:
                at += 4
                for _ in range(data[4 + 16 * number + 12]):
                    start, flags = struct.unpack_from("<II", data, at)
                    at += 8
                    if flags & 0x20:
                        levels[flags & 15], at = _level(data, at)
                    elif flags & 0x10:
                        starts[flags & 15] = start
            self._numbering.use(str(number + 1), str(identifier), levels, starts)


def _style(data: bytes, base_bytes: int) -> _Style:
    kind, base = data[2] & 15, int.from_bytes(data[2:4], "little") >> 4
    at = base_bytes + 2 * int.from_bytes(data[base_bytes : base_bytes + 2], "little") + 4  # behind the name
    at += at & 1
    length = int.from_bytes(data[at : at + 2], "little")
    values = properties(data[at + 4 : at + 2 + length]) if kind == 1 else {}
    return _Style(base, {key: values[key] for key in (OUTLINE, LIST, LIST_LEVEL) if key in values})


def _level(data: bytes, at: int) -> tuple[Level, int]:
    """Return a level of a list, and where the next one is."""
    (start,) = struct.unpack_from("<I", data, at)
    number_format, flags = data[at + 4], data[at + 5]
    characters, paragraph = data[at + 24], data[at + 25]
    at += 28 + paragraph + characters
    (length,) = struct.unpack_from("<H", data, at)
    text = data[at + 2 : at + 2 + 2 * length].decode("utf-16-le", "replace")
    # Characters below nine stand for the numbers of the levels.
    text = "".join(f"%{ord(char) + 1}" if ord(char) < _LEVELS else char for char in text)
    level = Level(start, _FORMATS.get(number_format, "decimal"), text, is_legal=bool(flags & 4))
    return level, at + 2 + 2 * length
