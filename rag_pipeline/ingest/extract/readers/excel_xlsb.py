"""Read Excel binary workbooks (xlsb): the parts of an xlsx file as records instead of XML."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import describe, main_part, parts_of_kind, relationships
from rag_pipeline.ingest.extract.readers.excel_sheet import MAX_COLUMNS
from rag_pipeline.ingest.extract.readers.number_format import NumberFormat, built_in_format, parse_format
from rag_pipeline.ingest.extract.readers.numbers import show_number, show_text
from rag_pipeline.ingest.extract.readers.sheet_writer import HiddenColumns, SheetWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.zip_archive import ZipArchive, ZipMember

_BLOCK_BYTES = 1 << 16
_MAX_RECORD_BYTES = 16 << 20
# The types of records.
_ROW, _BLANK, _RK, _ERROR, _BOOL, _REAL, _STRING, _SHARED = range(8)
_FORMULA_STRING, _FORMULA_NUMBER, _FORMULA_BOOL, _FORMULA_ERROR = range(8, 12)
_RICH_STRING, _SHARED_STRING, _FORMAT, _CELL_STYLE, _COLUMN = 62, 19, 44, 47, 60
_WORKBOOK_PROPERTIES, _SHEET, _STYLES_START, _STYLES_END = 153, 156, 617, 618
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}


def records(member: ZipMember) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each record of a part."""
    buffer = bytearray()
    position = 0
    ended = False
    while True:
        header = _header(buffer, position)
        if header is not None and position + header[2] + header[1] <= len(buffer):
            kind, size, length = header
            start = position + length
            yield kind, bytes(buffer[start : start + size])
            position = start + size
            continue
        if ended:
            return
        if header is not None and header[1] > _MAX_RECORD_BYTES:
            raise CorruptFileError(f"its part {member.name} has a record that is too large")
        del buffer[:position]
        position = 0
        block = member.read(_BLOCK_BYTES)
        ended = not block
        buffer += block


def _header(buffer: bytearray, position: int) -> tuple[int, int, int] | None:
    """Return the type and size of the record at a position, and the length of its header."""
    at = position
    if at >= len(buffer):
        return None
    kind = buffer[at]
    at += 1
    if kind & 0x80:
        if at >= len(buffer):
            return None
        kind = (kind & 0x7F) | ((buffer[at] & 0x7F) << 7)
        at += 1
    size = 0
    for shift in range(0, 28, 7):
        if at >= len(buffer):
            return None
        byte = buffer[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
    return kind, size, at - position


def _string(data: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<I", data, at)
    if length == 0xFFFFFFFF:
        return ""
    return data[at + 4 : at + 4 + 2 * length].decode("utf-16-le", "replace")


def read_xlsb(file: InputFile, writer: SectionWriter) -> None:
    """Read an xlsb file; locators are like ``sheet Budget, rows 2-40``."""
    try:
        _read(file, writer)
    except struct.error as error:
        raise CorruptFileError("it has a record that is too short") from error


def _read(file: InputFile, writer: SectionWriter) -> None:
    archive = ZipArchive(file)
    describe(archive, writer)
    part = main_part(archive)
    related = relationships(archive, part)
    sheets: list[tuple[str, str, bool]] = []
    from_1904 = False
    for kind, data in records(archive.open(part)):
        if kind == _SHEET:
            identifier = _string(data, 8)
            (state,) = struct.unpack_from("<I", data)
            title = _string(data, 12 + 2 * len(identifier))
            sheets.append((title, identifier, state != 0))
        elif kind == _WORKBOOK_PROPERTIES:
            from_1904 = bool(data and data[0] & 1)
    strings = [
        _string(data, 1)
        for name in parts_of_kind(related, "sharedStrings")
        if name in archive.names
        for kind, data in records(archive.open(name))
        if kind == _SHARED_STRING
    ]
    formats = [style for name in parts_of_kind(related, "styles") if name in archive.names
               for style in _styles(archive.open(name))]  # fmt: skip
    hidden = 0
    for number, (title, identifier, is_hidden) in enumerate(sheets, start=1):
        relation = related.get(identifier)
        if is_hidden and not file.options.hidden:
            hidden += 1
        elif relation is None or relation.part not in archive.names:
            writer.warn("missing_part", f"sheet {title} is missing from the file")
        elif relation.kind == "worksheet":
            rows = SheetWriter(writer, f"sheet {title}" + (" (hidden)" if is_hidden else ""))
            sheet = _Sheet(rows, strings, formats, from_1904, with_hidden=file.options.hidden)
            for kind, data in records(archive.open(relation.part)):
                sheet.record(kind, data)
            hidden += sheet.end()
        writer.progress(number / len(sheets))
    if hidden:
        writer.warn("hidden_text", "hidden sheets, rows or columns are left out", hidden)


def _styles(member: ZipMember) -> Iterator[NumberFormat]:
    codes: dict[int, str] = {}
    in_cell_styles = False
    for kind, data in records(member):
        if kind == _FORMAT:
            codes[struct.unpack_from("<H", data)[0]] = _string(data, 2)
        elif kind in (_STYLES_START, _STYLES_END):
            in_cell_styles = kind == _STYLES_START
        elif kind == _CELL_STYLE and in_cell_styles:
            (identifier,) = struct.unpack_from("<H", data, 2)
            yield parse_format(codes[identifier]) if identifier in codes else built_in_format(identifier)


class _Sheet:
    """Passes rows of displayed values to a sheet writer."""

    def __init__(
        self, rows: SheetWriter, strings: list[str], formats: list[NumberFormat], from_1904: bool, *, with_hidden: bool
    ) -> None:
        self._rows = rows
        self._strings = strings
        self._formats = formats
        self._from_1904 = from_1904
        self._with_hidden = with_hidden
        self._row = -1
        self._is_hidden = False
        self._cells: list[str] = []
        self._columns = HiddenColumns(shown=with_hidden)
        self._hidden = 0

    def record(self, kind: int, data: bytes) -> None:
        """Handle a record."""
        if kind == _ROW:
            self._end_row()
            (self._row,) = struct.unpack_from("<I", data)
            self._is_hidden = len(data) > 11 and bool(data[11] & 0x10)
        elif kind == _COLUMN:
            first, last, _, _, flags = struct.unpack_from("<IIIIH", data)
            if flags & 1:
                self._columns.add(first, last)
        elif kind <= _FORMULA_ERROR or kind == _RICH_STRING:
            column, style = struct.unpack_from("<II", data)
            if column < MAX_COLUMNS and kind != _BLANK:
                self._put(column, self._shown(kind, data, style & 0xFFFFFF))

    def _put(self, column: int, text: str) -> None:
        if text := self._columns.text(column, text):
            self._cells.extend([""] * (column + 1 - len(self._cells)))
            self._cells[column] = text

    def _shown(self, kind: int, data: bytes, style: int) -> str:
        number_format = self._formats[style] if style < len(self._formats) else built_in_format(0)
        if kind == _SHARED:
            (index,) = struct.unpack_from("<I", data, 8)
            return show_text(self._strings[index], number_format) if index < len(self._strings) else ""
        if kind in (_STRING, _FORMULA_STRING):
            return _string(data, 8)
        if kind == _RICH_STRING:
            return _string(data, 9)
        if kind in (_BOOL, _FORMULA_BOOL):
            return "TRUE" if data[8:9] == b"\x01" else "FALSE"
        if kind in (_ERROR, _FORMULA_ERROR):
            return _ERRORS.get(data[8] if len(data) > 8 else -1, "#ERROR")
        number = _rk(struct.unpack_from("<I", data, 8)[0]) if kind == _RK else struct.unpack_from("<d", data, 8)[0]
        return show_number(repr(number), number_format, self._from_1904)

    def _end_row(self) -> None:
        if self._is_hidden and not self._with_hidden:
            self._hidden += any(self._cells)
            self._rows.skip()
        elif self._row >= 0:
            self._rows.row(self._row + 1, self._cells, hidden=self._is_hidden)
        self._cells = []

    def end(self) -> int:
        """Write the last row; return the number of hidden rows and columns left out."""
        self._end_row()
        self._rows.end()
        return self._hidden + self._columns.left_out


def _rk(value: int) -> float:
    """Return a number packed into 30 bits: an integer or the upper half of a float, maybe in hundredths."""
    if value & 2:
        number = float((value >> 2) - (1 << 30 if value & 0x80000000 else 0))
    else:
        number = struct.unpack("<d", struct.pack("<Q", (value & 0xFFFFFFFC) << 32))[0]
    return number / 100 if value & 1 else number
