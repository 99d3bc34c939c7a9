"""Recognition by content; the name matters only for text."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.file_type import recognise
from tests.ingest.extract.makers import EXAMPLES, input_file, make_docx, make_ole, make_pdf, make_xlsx, make_zip

ODT = make_zip({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"})
EPUB = make_zip({"mimetype": "application/epub+zip"})


@pytest.mark.parametrize(
    ("data", "name", "reader"),
    [
        (make_pdf(1), "no extension", "pdf"),
        (b"\n\n" + make_pdf(1), "a.txt", "pdf"),
        (make_docx(""), "a.zip", "word"),
        (make_xlsx(""), "a.docx", "excel"),
        (ODT, "a.odt", "opendocument"),
        (EPUB, "book", "epub"),
        (rb"{\rtf1 x}", "a.doc", "rtf"),
        (b"<!-- x --> <!DOCTYPE html><p>", "saved.txt", "html"),
        (b"<html>", "really.docx", "html"),
        (b'<?xml version="1.0"?><html xmlns="x">', "a", "html"),
        (b"<?xml version='1.0'?><a/>", "a", "xml"),
        (b"<a>", "a.xml", "xml"),
        (b"text", "README", "text"),
        (b"text", ".bashrc", "text"),
        (b"def f(): pass", "f.py", "text"),
        (b"# title", "A.MD", "markdown"),
        (b"a,b", "a.csv", "table"),
        (b"{}", "a.json", "json"),
        (b"Subject: x", "a.eml", "mail"),
    ],
)
def test_a_type_is_recognised(data: bytes, name: str, reader: str) -> None:
    assert recognise(input_file(data, name)).reader == reader


@pytest.mark.parametrize(
    ("data", "name", "error", "words"),
    [
        ((EXAMPLES / "products/logo.png").read_bytes(), "notes.txt", UnsupportedFileTypeError, "a PNG image"),
        ((EXAMPLES / "products/logo.png").read_bytes(), "notes.pdf", UnsupportedFileTypeError, "a PNG image"),
        (make_zip({"a": "b"}), "a.txt", UnsupportedFileTypeError, "zip archive"),
        (make_docx("")[:60], "a.docx", CorruptFileError, "damaged Word document"),
        (make_docx("")[:60], "a", UnsupportedFileTypeError, "damaged zip archive"),
        (bytes(100), "a.pptx", CorruptFileError, "named like a PowerPoint presentation"),
        (b"text", "a.pdf", CorruptFileError, "named like a PDF"),
        (make_ole("EncryptedPackage"), "a.xlsx", EncryptedFileError, "password"),
        (make_ole("Workbook"), "a.xls", UnsupportedFileTypeError, "before 2007"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "a.doc", UnsupportedFileTypeError, "before 2007"),
        (b"\x80\x81\x00\x03" * 50, "a.txt", UnsupportedFileTypeError, "binary data"),
    ],
)
def test_the_error_names_an_unsupported_type(data: bytes, name: str, error: type[ExtractionError], words: str) -> None:
    with pytest.raises(error, match=words):
        recognise(input_file(data, name))
