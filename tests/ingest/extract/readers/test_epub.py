"""EPUB books."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from tests.ingest.extract.makers import make_zip, read, warnings

CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
PACKAGE = """<package><manifest><item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/><item id="c" href="css" media-type="text/css"/>
<item id="d" href="gone.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/><itemref idref="d"/></spine></package>"""
BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OPS/book.opf": PACKAGE,
    "OPS/one.xhtml": "<html><body><h1>Chapter one</h1><p>It began.</p></body></html>",
    "OPS/two b.xhtml": "<html><body><h1>Chapter two</h1><p>It ended.</p></body></html>",
}


def test_chapters_come_in_reading_order() -> None:
    assert read(make_zip(BOOK)) == [
        ("Chapter one", "Chapter one\nIt began."),
        ("Chapter two", "Chapter two\nIt ended."),
    ]
    assert warnings(make_zip(BOOK)) == ["chapter 3 is missing from the file"]


def test_copy_protection_is_an_error_and_obfuscated_fonts_are_not() -> None:
    reference = '<encryption><CipherReference URI="{}"/></encryption>'
    assert read(make_zip({**BOOK, "META-INF/encryption.xml": reference.format("OPS/font.otf")}))
    with pytest.raises(EncryptedFileError, match="copy protected"):
        read(make_zip({**BOOK, "META-INF/encryption.xml": reference.format("OPS/one.xhtml")}))


def test_a_book_without_a_package_document_is_damaged() -> None:
    with pytest.raises(CorruptFileError):
        read(make_zip({"mimetype": "application/epub+zip"}))
