"""Read HTML pages: the main text under its headings, without navigation."""

from __future__ import annotations

import re

from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.html_tree import Element, parse_html
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.main_content import navigation
from rag_pipeline.ingest.extract.readers.html_notes import set_off_note_marks
from rag_pipeline.ingest.extract.readers.html_text import HtmlText, repeated_pictures
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*+=\s*+[\"']?\s*+([-\w.:]+)", re.I)
_DECLARED_IN_XML = re.compile(rb"\s*+<\?xml[^>]{0,200}?encoding\s*+=\s*+[\"']([-\w.:]+)", re.I)
_DESCRIPTIONS = {"author": "author", "description": "description", "keywords": "keywords", "date": "date"}


def read_html(file: InputFile, writer: SectionWriter) -> None:
    """Read an HTML page; locators are paths of headings."""
    text = open_text(file, writer, declared=declared_charset(file.read_at(0, 4096)))
    write_page(text.read(), writer)


def declared_charset(head: bytes) -> str | None:
    """Return the charset that a page names in its first bytes, or None."""
    found = _DECLARED.search(head) or _DECLARED_IN_XML.match(head)
    return found[1].decode("latin-1") if found else None


def write_page(markup: str, writer: SectionWriter) -> None:
    """Write the main text of a page, and describe its title and author."""
    root = _parse(markup)
    describe(root, writer)
    body = root.find("body") or root
    skipped = navigation(root)
    if not body.find("h1") and (title := root.find("title")):
        writer.heading(1, title.text())
    if skipped:  # an article
        skipped |= repeated_pictures(body, skipped)
    HtmlText(writer, skipped).write(body)


def write_fragment(markup: str, writer: SectionWriter) -> None:
    """Write all text of HTML that is part of something else, such as a mail."""
    root = _parse(markup)
    HtmlText(writer).write(root.find("body") or root)


def _parse(markup: str) -> Element:
    root = parse_html(markup)
    set_off_note_marks(root)
    return root


def describe(root: Element, writer: SectionWriter) -> None:
    """Describe what a page's head says: title, author, description, keywords, date."""
    head = root.find("head")
    for element in head.elements() if head else ():
        if element.tag == "title":
            writer.describe("title", element.text())
