"""The structures of a Word document before 2007: where its text lies in the file, and with which properties."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.charset_guess import guess_charset
from rag_pipeline.ingest.extract.readers.word_lists import OUTLINE, WordLists, properties

_WORD_97 = 193  # the version of the format in which all numbers stand as below
_PAGE_BYTES = 512
_MAX_PIECES = 1_000_000
_SAMPLE_BYTES = 1 << 15
# The place of each table's offset and size in the header.
_FOOTNOTE_REFERENCES, _FOOTNOTES, _COMMENT_REFERENCES, _COMMENTS = 0xAA, 0xB2, 0xBA, 0xC2
_CHARACTER_PAGES, _PARAGRAPH_PAGES, _PIECES = 0xFA, 0x102, 0x1A2
_ENDNOTE_REFERENCES, _ENDNOTES = 0x20A, 0x212
NOTE_TABLES = {
    "footnote": (_FOOTNOTE_REFERENCES, _FOOTNOTES), "comment": (_COMMENT_REFERENCES, _COMMENTS),
    "endnote": (_ENDNOTE_REFERENCES, _ENDNOTES),
}  # fmt: skip
_PARTS = {"body": 0x4C, "footnote": 0x50, "header": 0x54, "macro": 0x58, "comment": 0x5C, "endnote": 0x60, "box": 0x64}
# Properties that matter: hidden, deleted, in a table, end of a row, outline level.
_HIDDEN, _DELETED, _IN_TABLE, _ROW_END = 0x083C, 0x0800, 0x2416, 0x2417


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters that lie together in the file: its first character and place, and its encoding."""

    start: int
    end: int
    offset: int
    wide: bool


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph: its first byte, its heading level, its place in a table, and its properties."""

    start: int
    level: int | None = None
    in_table: bool = False
    ends_row: bool = False
    values: Mapping[int, int] = field(default_factory=dict)


class WordFile:
    """The text of a document's parts, one after the other, and the properties of its runs and paragraphs."""

    def __init__(self, document: bytes, tables: dict[int, bytes]) -> None:
        if len(document) < 0x21A:
            raise CorruptFileError("its header is too short")
        magic, version = struct.unpack_from("<HH", document)
        (flags,) = struct.unpack_from("<H", document, 10)
        if flags & 0x100:
            raise EncryptedFileError("is encrypted; a password is needed")
        self._document = document
        self.is_old = version < _WORD_97 or magic != 0xA5EC
        self._table = tables.get(1 if flags & 0x200 else 0, b"")
        self.lists = WordLists(self._from_table)
        self._codec = "cp1252"
        self._lengths = {name: _int(document, place) for name, place in _PARTS.items()}
        self.pieces = [self._old_piece()] if self.is_old else self._read_pieces()
        self._piece_starts = [piece.start for piece in self.pieces]
        self._runs = [] if self.is_old else self._read_pages(_CHARACTER_PAGES, is_paragraph=False)
        self._paragraphs = [] if self.is_old else self._read_pages(_PARAGRAPH_PAGES, is_paragraph=True)
        self._run_starts = [start for start, _, _ in self._runs]
        self._paragraph_starts = [start for start, _, _ in self._paragraphs]

    def _old_piece(self) -> Piece:
        first, last = _int(self._document, 0x18), _int(self._document, 0x1C)
        self._lengths = {"body": max(0, min(last, len(self._document)) - first)}
        # The text is in the charset of its fonts.
        self._codec = guess_charset(self._document[first:last][:_SAMPLE_BYTES])
        return Piece(0, self._lengths["body"], first, False)

    def part(self, name: str) -> tuple[int, int]:
        """Return the first and last character of a part, such as ``footnote``."""
        start = 0
        for key in _PARTS:
            length = max(0, self._lengths.get(key, 0))
            if key == name:
                return start, start + length
            start += length
        return start, start

    def positions(self, place: int, entry_bytes: int) -> list[int]:
        """Return the character positions of a table, whose entries have a size."""
        data = self._table_at(place)
        count = (len(data) - 4) // (4 + entry_bytes)
        return list(struct.unpack_from(f"<{count + 1}i", data)) if count > 0 else []

    def _table_at(self, place: int) -> bytes:
        offset, size = _int(self._document, place), _int(self._document, place + 4)
        return self._table[offset : offset + size] if offset >= 0 and size > 0 else b""

    def _from_table(self, place: int) -> tuple[bytes, int]:
        """Return the stream of tables from the start of one, and the table's size."""
        offset, size = _int(self._document, place), _int(self._document, place + 4)
        known = not self.is_old and offset >= 0 and size > 0
        return (self._table[offset:], size) if known else (b"", 0)

    def _read_pieces(self) -> list[Piece]:
        data = self._table_at(_PIECES)
        at = 0
        while at + 3 <= len(data) and data[at] == 1:
            at += 3 + int.from_bytes(data[at + 1 : at + 3], "little")
        if at + 5 > len(data) or data[at] != 2:
            raise CorruptFileError("it has no table of its text")
        data = data[at + 5 : at + 5 + _int(data, at + 1)]
        count = min((len(data) - 4) // 12, _MAX_PIECES)
        if count < 1:
            raise CorruptFileError("its table of its text is empty")
        starts = struct.unpack_from(f"<{count + 1}I", data)
        pieces = []
        for number in range(count):
            (place,) = struct.unpack_from("<I", data, 4 * (count + 1) + 8 * number + 2)
            is_wide = not place & 0x40000000
            offset = place & 0x3FFFFFFF
            pieces.append(Piece(starts[number], starts[number + 1], offset if is_wide else offset // 2, is_wide))
        return pieces

    def _read_pages(self, place: int, *, is_paragraph: bool) -> list[tuple[int, int, bytes]]:
        """Return the runs of a table of pages: the first and last byte of their text, and their properties."""
        table = self._table_at(place)
        count = (len(table) - 4) // 8
        runs: list[tuple[int, int, bytes]] = []
        numbers = (_int(table, 4 * (count + 1) + 4 * number) & 0x3FFFFF for number in range(max(count, 0)))
        for page_number in dict.fromkeys(numbers):
            page = self._document[page_number * _PAGE_BYTES : (page_number + 1) * _PAGE_BYTES]
            if len(page) == _PAGE_BYTES:
                runs += _runs_of_page(page, is_paragraph=is_paragraph)
        return sorted(runs)

    def text(self, start: int, end: int) -> list[tuple[str, int, int]]:
        """Return the text between two characters, in runs with the place of their first byte and character width."""
        found = []
        for piece in self.pieces[max(0, bisect_right(self._piece_starts, start) - 1) :]:
            if piece.start >= end:
                break
            first, last = max(start, piece.start), min(end, piece.end)
            if first < last:
                width = 2 if piece.wide else 1
                offset = piece.offset + (first - piece.start) * width
                data = self._document[offset : offset + (last - first) * width]
                text = data.decode("utf-16-le", "surrogatepass") if piece.wide else data.decode(self._codec, "replace")
                found.append((text, offset, width))
        return found

    def is_left_out(self, place: int) -> tuple[bool, bool, int]:
        """Return whether the character at a byte is hidden, is deleted, and the byte at which this may change."""
        at = bisect_right(self._run_starts, place) - 1
        if at < 0 or place >= self._runs[at][1]:
            following = self._run_starts[at + 1] if at + 1 < len(self._runs) else 1 << 40
            return False, False, following
        values = properties(self._runs[at][2])
        return values.get(_HIDDEN) == 1, values.get(_DELETED) == 1, self._runs[at][1]

    def paragraph(self, place: int) -> Paragraph:
        """Return the paragraph at a byte."""
        at = bisect_right(self._paragraph_starts, place) - 1
        if at < 0 or place >= self._paragraphs[at][1]:
            return Paragraph(-1)
        content = self._paragraphs[at][2]
        style = int.from_bytes(content[:2], "little")
        values = {**self.lists.resolve(style), **properties(content[2:])}
        level = style if 1 <= style <= 9 else None  # the styles Heading 1 to 9 have these numbers in each document
        outline = values.get(OUTLINE)
        if outline is not None and outline < 9:
            level = outline + 1
        return Paragraph(self._paragraphs[at][0], level, values.get(_IN_TABLE) == 1, values.get(_ROW_END) == 1, values)


def _runs_of_page(page: bytes, *, is_paragraph: bool) -> list[tuple[int, int, bytes]]:
    count = page[-1]
    width = 13 if is_paragraph else 1
    if 4 * (count + 1) + count * width > _PAGE_BYTES:
        return []
    starts = struct.unpack_from(f"<{count + 1}I", page)
    runs = []
    for number in range(count):
        at = page[4 * (count + 1) + number * width] * 2
        content = b""
        if at and is_paragraph:
            size = page[at]
            content = page[at + 1 : at + 2 * size] if size else page[at + 2 : at + 2 + 2 * page[min(at + 1, 511)]]
        elif at:
            content = page[at + 1 : at + 1 + page[at]]
        runs.append((starts[number], starts[number + 1], content))
    return runs


def _int(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little", signed=True)
