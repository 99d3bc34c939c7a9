"""Read Excel workbooks (xlsx, xlsm): every sheet, row by row, with values as displayed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import Relationship, describe, main_part, read_part, read_parts, relationships
from rag_pipeline.ingest.extract.readers.drawing import drawing_lines
from rag_pipeline.ingest.extract.readers.excel_parts import (
    CellStyles,
    Comments,
    Drawing,
    SharedStrings,
    TableParts,
    Workbook,
)
from rag_pipeline.ingest.extract.readers.excel_sheet import Sheet, SheetContext, merged_rows
from rag_pipeline.ingest.extract.readers.sheet_writer import SheetWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_COMMENTS = ("comments", "threadedComment")


def read_excel(file: InputFile, writer: SectionWriter) -> None:
    """Read an xlsx file; locators are like ``sheet Budget, rows 2-40``. Formulas give their last computed value."""
    archive = ZipArchive(file)
    describe(archive, writer)
    part = main_part(archive)
    related = relationships(archive, part)
    workbook, strings, styles = Workbook(), SharedStrings(), CellStyles()
    parse_xml(archive.open(part), workbook)
    read_parts(archive, related, "sharedStrings", strings, writer)
    read_parts(archive, related, "styles", styles, writer)
    context = SheetContext(strings.strings, styles.formats, workbook.from_1904)
    sheets = [(entry, related[entry.relation]) for entry in workbook.sheets if entry.relation in related]
    reader = _SheetReader(file, archive, writer, context)
    total = sum(archive.size(relation.part) for _, relation in sheets) or 1
    done = 0
    for entry, relation in sheets:
        if relation.part not in archive.names:
            writer.warn("missing_part", f"sheet {entry.title} is missing from the file")
        elif entry.hidden and not file.options.hidden:
            reader.warn_hidden(1)
        else:
            title = f"sheet {entry.title}" + (" (hidden)" if entry.hidden else "")
            reader.read(title, relation, done, total)
        done += archive.size(relation.part)


class _SheetReader:
    """Reads the sheets of a workbook, each with its comments and drawings."""

    def __init__(self, file: InputFile, archive: ZipArchive, writer: SectionWriter, context: SheetContext) -> None:
        self._options = file.options
        self._archive = archive
        self._writer = writer
        self._context = context

    def warn_hidden(self, count: int) -> None:
        """Warn of hidden text that is left out."""
        if count:
            self._writer.warn("hidden_text", "hidden sheets, rows or columns are left out", count)

    def read(self, title: str, relation: Relationship, done: int, total: int) -> None:
        """Read a sheet of rows, or one that is a chart."""
        related = relationships(self._archive, relation.part)
        if relation.kind == "worksheet":
            self._read_rows(title, relation.part, related, done, total)
        drawings = [drawing for drawing in related.values() if drawing.kind == "drawing"]
        if lines := [line for drawing in drawings for line in self._drawing_lines(drawing)]:
            self._writer.section(f"{title}, drawings")
            self._writer.write("\n".join(lines) + "\n")

    def _read_rows(self, title: str, part: str, related: Mapping[str, Relationship], done: int, total: int) -> None:
        comments = Comments()
        if self._options.comments:
            for kind in _COMMENTS:
                read_parts(self._archive, related, kind, comments, self._writer)
        tables = TableParts()
        read_parts(self._archive, related, "table", tables, self._writer)
        self._context.last_rows = tables.last_rows()
        self._context.merged, filters = merged_rows(self._archive, part)
        self._context.header_rows = filters | tables.header_rows
        self._context.notes = comments.texts
        rows = SheetWriter(self._writer, title)
        sheet = Sheet(rows, self._context, with_hidden=self._options.hidden)
        parse_xml(self._archive.open(part), sheet, on_block=partial(_report_progress, self._writer, done, total))
        sheet.end_sheet()
        rows.end()
        self.warn_hidden(sheet.hidden)
        if sheet.without_result:
            self._writer.warn("missing_values", "formulas whose results are not stored are left out",
                              sheet.without_result)  # fmt: skip

    def _drawing_lines(self, relation: Relationship) -> list[str]:
        drawing = Drawing()
        if not read_part(self._archive, relation, drawing, self._writer):
            return []
        related = relationships(self._archive, relation.part)
        lines = [line for line in drawing.lines if line.strip()]
        for identifier in drawing.relations:
            # The values of a chart are in the sheets.
            lines += drawing_lines(self._archive, related.get(identifier), self._writer, with_values=False)
        return lines


def _report_progress(writer: SectionWriter, done: int, total: int, count: int) -> None:
    writer.progress((done + count) / total)
