"""Recognition by content; the name matters only for text."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.file_type import recognise
from tests.ingest.extract.makers import EXAMPLES, input_file, make_docx, make_ole_file, make_pdf, make_xlsx, make_zip

ODT = make_zip({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"})
EPUB = make_zip({"mimetype": "application/epub+zip"})

WORDML = b"http://schemas.microsoft.com/office/word/2003/wordml"
CONTENT_TYPE = '<Types><Override ContentType="application/vnd.ms-{}.main"/></Types>'
XLSB = make_zip({"[Content_Types].xml": CONTENT_TYPE.format("excel.sheet.binary.macroEnabled")})
VISIO = make_zip({"[content_types].xml": CONTENT_TYPE.format("visio.drawing")})


@pytest.mark.parametrize(
    ("data", "name", "reader"),
    [
        (make_pdf(1), "no extension", "pdf"),
        (b"\n\n" + make_pdf(1), "a.txt", "pdf"),
        (make_docx(""), "a.zip", "word"),
        (make_xlsx(""), "a.docx", "excel"),
        (ODT, "a.odt", "opendocument"),
        (EPUB, "book", "epub"),
        (make_zip({"mimetype": "application/vnd.oasis.opendocument.graphics"}), "a.odg", "opendocument"),
        (XLSB, "a.xlsb", "excel_xlsb"),
        (make_ole_file({"WordDocument": b""}), "a.dot", "word_binary"),
        (make_ole_file({"WORKBOOK": b""}), "a", "excel_binary"),
        (make_ole_file({"Book": b""}), "a.xlt", "excel_binary"),
        (bytes.fromhex("0904060000001000") + bytes(20), "old.xls", "excel_binary"),
        (make_ole_file({"PowerPoint Document": b""}), "a.pps", "powerpoint_binary"),
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
        (b"Name\tSales\nOslo\t5\n", "export.xls", "table"),
        (b"Name;Sales\nOslo;5\n", "export.xls", "table"),
        (b"text", "a.doc", "text"),
        (b"<?xml version='1.0'?><a/>", "a.doc", "xml"),
        (b'<?xml version="1.0"?><w:wordDocument xmlns:w="' + WORDML + b'"/>', "a.xml", "word_2003"),
        (b'<?xml version="1.0"?><w:wordDocument xmlns:w="' + WORDML + b'"/>', "a.doc", "word_2003"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>', "a", "excel_2003"),
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
        (make_ole_file({"EncryptedPackage": b""}), "a.xlsx", EncryptedFileError, "password"),
        (make_ole_file({"VisioDocument": b""}), "a.vsd", UnsupportedFileTypeError, "a Visio drawing"),
        (make_ole_file({"Quill": b""}), "a.pub", UnsupportedFileTypeError, "a Publisher document"),
        (make_ole_file({"PP40": b""}), "a.ppt", UnsupportedFileTypeError, "before 97"),
        (make_ole_file({"Unknown": b""}), "a.doc", UnsupportedFileTypeError, "unknown program"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "a.doc", CorruptFileError, "a damaged Word 97 document"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "a", UnsupportedFileTypeError, "damaged"),
        (b"\xffWPC" + bytes(20), "a.wpd", UnsupportedFileTypeError, "a WordPerfect document"),
        (make_zip({"Index/Document.iwa": ""}), "a.pages", UnsupportedFileTypeError, "an Apple Pages document"),
        (make_zip({"Index/Document.iwa": ""}), "a", UnsupportedFileTypeError, "Pages, Numbers or Keynote"),
        (VISIO, "a.vsdx", UnsupportedFileTypeError, "a Visio drawing"),
        (b"text", "a.ppt", CorruptFileError, "named like a PowerPoint 97 presentation"),
        (b" \n", "a.xls", CorruptFileError, "named like an Excel 97 workbook"),
        (b"\x80\x81\x00\x03" * 50, "a.txt", UnsupportedFileTypeError, "binary data"),
    ],
)
def test_the_error_names_an_unsupported_type(data: bytes, name: str, error: type[ExtractionError], words: str) -> None:
    with pytest.raises(error, match=words):
        recognise(input_file(data, name))
