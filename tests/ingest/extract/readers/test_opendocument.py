"""OpenDocument files: their parts."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import EncryptedFileError
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_zip, read, read_metadata, read_text, warnings

NAMESPACES = (
    'xmlns:text="urn:t" xmlns:table="urn:b" xmlns:draw="urn:d" xmlns:office="urn:o" xmlns:style="urn:s" '
    'xmlns:svg="urn:v" xmlns:presentation="urn:p" xmlns:xlink="urn:x" xmlns:dc="urn:c"'
)


def make(kind: str, body: str, styles: str = "", **parts: str) -> bytes:
    content = (
        f"<office:document-content {NAMESPACES}>{styles}<office:body>{body}</office:body></office:document-content>"
    )
    return make_zip({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, **parts})


def test_text_is_read_under_its_headings() -> None:
    body = (
        '<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h text:outline-level="1">One</text:h>'
        '<text:p>a<text:s text:c="2"/>b<text:tab/>c<office:annotation><text:p>x</text:p></office:annotation></text:p>'
        "<table:table><table:table-row><table:table-cell><text:p>l</text:p></table:table-cell><table:table-cell>"
        "<text:p>r</text:p></table:table-cell></table:table-row></table:table>"
    )
    assert read(make("text", body)) == [("One", "One\na  b\tc\nComment: x\nl | r")]
    assert "x" not in read_text(make("text", body), options=ReadOptions(comments=False))


def test_headers_and_footers_follow_once() -> None:
    page = "<style:header><text:p>ACME</text:p></style:header><style:footer><text:p>ACME</text:p></style:footer>"
    styles = f"<office:document-styles {NAMESPACES}><style:header-style/>{page}</office:document-styles>"
    data = make("text", "<text:p>Body</text:p>", **{"styles.xml": styles})
    assert read(data) == [("", "Body"), ("headers and footers", "ACME")]


def test_metadata_and_damaged_parts() -> None:
    meta = f"<m {NAMESPACES}><dc:title>Rules</dc:title><dc:creator>Ann</dc:creator></m>"
    data = make("text", "<text:p>Body</text:p>", **{"meta.xml": meta, "styles.xml": "<a>"})
    assert read_metadata(data) == {"title": "Rules", "author": "Ann"}
    assert [message.partition(":")[0] for message in warnings(data)] == ["its styles are damaged"]
    assert read_text(data) == "Body"


def test_pages_of_drawings_are_read() -> None:
    assert read(make("graphics", "<draw:page><draw:rect><text:p>box</text:p></draw:rect></draw:page>")) == [
        ("page 1", "box")
    ]


def test_an_encrypted_file_is_an_error() -> None:
    parts = {"META-INF/manifest.xml": '<m:manifest xmlns:m="u"><m:encryption-data/></m:manifest>'}
    with pytest.raises(EncryptedFileError):
        read(make("text", "", **parts))
