"""OpenDocument files."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import EncryptedFileError
from tests.ingest.extract.makers import make_zip, read

NAMESPACES = 'xmlns:text="urn:t" xmlns:table="urn:b" xmlns:draw="urn:d" xmlns:office="urn:o"'


def make(kind: str, body: str, **parts: str) -> bytes:
    content = f"<office:body {NAMESPACES}>{body}</office:body>"
    return make_zip({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, **parts})


def test_text_is_read_under_its_headings() -> None:
    body = (
        '<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h text:outline-level="1">One</text:h>'
        '<text:p>a<text:s text:c="2"/>b<text:tab/>c<office:annotation><text:p>x</text:p></office:annotation></text:p>'
        "<table:table><table:table-row><table:table-cell><text:p>l</text:p></table:table-cell><table:table-cell>"
        "<text:p>r</text:p></table:table-cell></table:table-row></table:table>"
    )
    assert read(make("text", body)) == [("One", "One\na  b\tc\nl | r")]


def test_a_sheet_padded_to_its_edge_is_read() -> None:
    cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>"
    filler = '<table:table-cell table:number-columns-repeated="16384"/>'
    row = "<table:table-row{}>{}</table:table-row>"
    body = (
        '<table:table table:name="Budget">'
        + row.format("", cell.format("", "Name") + cell.format("", "Days") + filler)
        + row.format(' table:number-rows-repeated="1000"', filler)
        + row.format("", cell.format("", "Holm") + cell.format(' table:number-columns-repeated="2"', "27"))
        + row.format(' table:number-rows-repeated="1048576"', filler)
        + "</table:table>"
    )
    assert read(make("spreadsheet", body)) == [("sheet Budget, rows 1-1002", "Name | Days\nName: Holm | Days: 27 | 27")]


def test_slides_are_read() -> None:
    body = "<draw:page><text:p>one</text:p></draw:page><draw:page><text:p>two</text:p></draw:page>"
    assert read(make("presentation", body)) == [("slide 1", "one"), ("slide 2", "two")]


def test_an_encrypted_file_is_an_error() -> None:
    parts = {"META-INF/manifest.xml": '<m:manifest xmlns:m="u"><m:encryption-data/></m:manifest>'}
    with pytest.raises(EncryptedFileError):
        read(make("text", "", **parts))
