"""Read Excel workbooks of the format before 2007 (xls), with values as displayed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.ole_container import OleContainer
from rag_pipeline.ingest.extract.readers.number_format import NumberFormat, built_in_format, parse_format
from rag_pipeline.ingest.extract.readers.numbers import show_number, show_text
from rag_pipeline.ingest.extract.readers.sheet_writer import HiddenColumns, RowSpans, SheetWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter

if TYPE_CHECKING:
    import xlrd.book
    import xlrd.sheet

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def read_excel_binary(file: InputFile, writer: SectionWriter) -> None:
    """Read an xls file; locators are like ``sheet Budget, rows 2-40``."""
    import xlrd

    data = file.read_at(0, file.size)
    if data.startswith(_OLE):
        container = OleContainer(file)
        for key, value in container.properties().items():
            writer.describe(key, value)
        data = container.read("Workbook" if container.has("Workbook") else "Book")
    try:
        book = xlrd.open_workbook(
            file_contents=data, formatting_info=True, ragged_rows=True, on_demand=True, logfile=io.StringIO()
        )
        _read_book(book, file, writer)
    except xlrd.XLRDError as error:
        if "encrypted" in str(error):
            raise EncryptedFileError("is encrypted; a password is needed") from error
        raise CorruptFileError(str(error)) from error
    except (ExtractionError, MemoryError):
        raise
    except Exception as error:  # its own errors, those of struct, and failed assertions
        raise CorruptFileError("its records can't be read") from error


def _read_book(book: xlrd.book.Book, file: InputFile, writer: SectionWriter) -> None:
    formats = [_number_format(book, style.format_key) for style in book.xf_list]
    hidden = 0
    for index in range(book.nsheets):
        sheet = book.sheet_by_index(index)
        if sheet.visibility and not file.options.hidden:
            hidden += 1
        else:
            reader = _Sheet(book, sheet, formats, file, writer)
            hidden += reader.read()
        book.unload_sheet(index)
        writer.progress((index + 1) / book.nsheets)
    if hidden:
        writer.warn("hidden_text", "hidden sheets, rows or columns are left out", hidden)


def _number_format(book: xlrd.book.Book, key: int) -> NumberFormat:
    found = book.format_map.get(key)
    # The file repeats the formats that have a number, in the language of its program.
    is_built_in = found is None or key < 50
    return built_in_format(key) if is_built_in else parse_format(found.format_str)


class _Sheet:
    """Reads the rows of a sheet."""

    def __init__(
        self,
        book: xlrd.book.Book,
        sheet: xlrd.sheet.Sheet,
        formats: Sequence[NumberFormat],
        file: InputFile,
        writer: SectionWriter,
    ) -> None:
        self._book = book
        self._sheet = sheet
        self._formats = formats
        self._options = file.options
        title = f"sheet {sheet.name}" + (" (hidden)" if sheet.visibility else "")
        self._rows = SheetWriter(writer, title)
        self._columns = HiddenColumns(shown=self._options.hidden)
        for at, column in sheet.colinfo_map.items():
            if column.hidden:
                self._columns.add(at, at)
        self._merged = {
            (top, left): bottom for top, bottom, left, right in sheet.merged_cells if right - left == 1 < bottom - top
        }
        self._spans = RowSpans()
        self._notes: dict[int, list[str]] = {}
        if self._options.comments:
            for (row, column), note in sorted(sheet.cell_note_map.items()):
                self._notes.setdefault(row, []).append(_comment(row, column, note.text))

    def read(self) -> int:
        """Write the rows; return the number of hidden rows and columns left out."""
        import xlrd.formatting

        hidden = 0
        default = xlrd.sheet.Rowinfo()
        for row in range(self._sheet.nrows):
            is_hidden = bool(self._sheet.rowinfo_map.get(row, default).hidden)
            if is_hidden and not self._options.hidden:
                hidden += bool(self._sheet.row_len(row))
                self._rows.skip()
            else:
                self._rows.row(row + 1, self._cells(row), self._notes.pop(row, ()), hidden=is_hidden)
        for row, notes in sorted(self._notes.items()):
            self._rows.row(max(row, self._sheet.nrows) + 2, [], notes)
        self._rows.end()
        return hidden + self._columns.left_out

    def _cells(self, row: int) -> list[str]:
        cells: list[str] = []
        types, values = self._sheet.row_types(row), self._sheet.row_values(row)
        for column in range(len(types)):
            text = self._shown(types[column], values[column], self._sheet.cell_xf_index(row, column))
            cells.append(text := self._columns.text(column, text))
            if text and (row, column) in self._merged:
                self._spans.start(column, self._merged[row, column] - 1, text)
        self._spans.fill(row, cells)
        return cells

    def _shown(self, kind: int, value: Any, style: int) -> str:
        import xlrd

        number_format = self._formats[style] if style < len(self._formats) else built_in_format(0)
        match kind:
            case xlrd.XL_CELL_TEXT:
                return show_text(value, number_format)
            case xlrd.XL_CELL_NUMBER | xlrd.XL_CELL_DATE:
                return show_number(repr(value), number_format, bool(self._book.datemode))
            case xlrd.XL_CELL_BOOLEAN:
                return "TRUE" if value else "FALSE"
            case xlrd.XL_CELL_ERROR:
                return str(xlrd.error_text_from_code.get(value, "#ERROR"))
        return ""


def _comment(row: int, column: int, text: str) -> str:
    from xlrd.formula import colname

    return f"Comment on {colname(column)}{row + 1}: {' '.join(text.split())}"
