"""Flat OpenDocument files: one XML document is read as the zipped formats are."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_metadata, read_text, warnings
from tests.ingest.extract.readers.test_opendocument import NAMESPACES


def flat(kind: str, body: str, before: str = "") -> bytes:
    """Return a flat file of this kind; ``before`` stands before its body."""
    root = f'{NAMESPACES} office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.{kind}"'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document {root}>{before}'
        f"<office:body>{body}</office:body></office:document>"
    ).encode()


def test_text_has_its_notes_margins_and_metadata() -> None:
    before = (
        "<office:meta><dc:title>Rates</dc:title></office:meta><office:settings><x>ooo:view-settings</x></office:settings>"
        "<office:master-styles><style:master-page><style:header><text:p>ACME</text:p></style:header>"
        "</style:master-page></office:master-styles>"
    )
    body = (
        "<office:text><text:h>Rate</text:h><text:p>4<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>Since 2024.</text:p></text:note-body></text:note> percent</text:p></office:text>"
    )
    data = flat("text", body, before)
    assert read(data) == [("Rate", "Rate\n4 percent\nFootnote: Since 2024."), ("headers and footers", "ACME")]
    assert read_metadata(data) == {"title": "Rates"}


@pytest.mark.parametrize("name", ["file.fods", "file.xml", "file"])
def test_sheets_are_recognised_by_their_content(name: str) -> None:
    rows = "".join(
        f"<table:table-row><table:table-cell><text:p>{one}</text:p></table:table-cell><table:table-cell><text:p>{two}"
        "</text:p></table:table-cell></table:table-row>"
        for one, two in (("Region", "Sales"), ("North", 120), ("South", 90))
    )
    data = flat(
        "spreadsheet", f'<office:spreadsheet><table:table table:name="A">{rows}</table:table></office:spreadsheet>'
    )
    assert read(data, name) == [
        ("sheet A, rows 1-3", "Region | Sales\nRegion: North | Sales: 120\nRegion: South | Sales: 90")
    ]


def test_pictures_are_left_out_and_charts_have_their_text() -> None:
    chart = (
        "<draw:object><office:document><office:body><chart:chart xmlns:chart='urn:h'><chart:title>"
        "<text:p>Sales</text:p></chart:title></chart:chart></office:body></office:document></draw:object>"
    )
    picture = "<draw:image><office:binary-data>iVBORw0KGgo=</office:binary-data></draw:image>"
    body = f"<office:text><text:p>See<draw:frame>{picture}</draw:frame> below.<draw:frame>{chart}</draw:frame></text:p>"
    assert read_text(flat("text", body + "<text:p>End</text:p></office:text>")) == "See below.\nSales\nEnd"


def test_slides_and_hidden_text() -> None:
    slide = "<draw:page><draw:frame><draw:text-box><text:p>Plan</text:p></draw:text-box></draw:frame></draw:page>"
    assert read(flat("presentation", f"<office:presentation>{slide}</office:presentation>")) == [("slide 1", "Plan")]
    style = '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
    data = flat(
        "text",
        '<office:text><text:p>a<text:span text:style-name="H">b</text:span></text:p></office:text>',
        f"<office:automatic-styles>{style}</office:automatic-styles>",
    )
    assert read_text(data) == "a"
    assert len(warnings(data)) == 1
    assert read_text(data, options=ReadOptions(hidden=True)) == "a[hidden: b]"
