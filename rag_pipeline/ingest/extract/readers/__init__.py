"""The readers: one module for each family of formats, imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.plugins import plugins_of_worker
from rag_pipeline.ingest.extract.section_writer import SectionWriter

FormatReader = Callable[[InputFile, SectionWriter], None]

_READERS = {
    "pdf": "pdf.reader:read_pdf",
    "word": "word:read_word",
    "excel": "excel:read_excel",
    "word_2003": "office_2003:read_word_2003",
    "excel_2003": "office_2003:read_excel_2003",
    "powerpoint": "powerpoint:read_powerpoint",
    "word_binary": "word_binary:read_word_binary",
    "excel_binary": "excel_binary:read_excel_binary",
    "excel_xlsb": "excel_xlsb:read_xlsb",
    "powerpoint_binary": "powerpoint_binary:read_powerpoint_binary",
    "opendocument": "opendocument:read_opendocument",
    "opendocument_flat": "opendocument_flat:read_flat_opendocument",
    "epub": "epub:read_epub",
    "rtf": "rtf:read_rtf",
    "html": "html:read_html",
    "xml": "xml:read_xml",
    "text": "text:read_text",
    "json": "text:read_json",
    "markdown": "text:read_markdown",
    "table": "table:read_table",
    "mail": "mail:read_mail",
    "mailbox": "mail:read_mailbox",
    "outlook": "outlook:read_outlook",
    "calendar": "calendar:read_calendar",
    "notebook": "notebook:read_notebook",
}


def load_reader(name: str) -> FormatReader:
    """Import a reader, a plug-in by its suffix or MIME type; it writes the text of a file to a section writer."""
    if plugin := plugins_of_worker().get(name):
        return plugin.read
    module, _, function = _READERS[name].partition(":")
    return cast(FormatReader, getattr(import_module(f"{__name__}.{module}"), function))
