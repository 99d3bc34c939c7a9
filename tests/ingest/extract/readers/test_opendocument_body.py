"""Paragraphs, lists and tables of OpenDocument text."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.readers.opendocument_body import length
from tests.ingest.extract.makers import read_text, warnings
from tests.ingest.extract.readers.test_opendocument import make


def paragraph(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def table(*rows: str) -> str:
    return f"<table:table>{''.join(f'<table:table-row>{row}</table:table-row>' for row in rows)}</table:table>"


def cell(content: str, more: str = "") -> str:
    return f"<table:table-cell {more}>{content}</table:table-cell>"


NOTE = (
    '<text:note text:note-class="{}"><text:note-citation>1</text:note-citation><text:note-body>{}</text:note-body>'
    "</text:note>"
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            paragraph(f"Four{NOTE.format('footnote', paragraph('Since May.'))} percent"),
            "Four percent\nFootnote: Since May.",
        ),
        (paragraph(f"End{NOTE.format('endnote', paragraph('Annex.'))}."), "End.\nEndnote: Annex."),
        (
            paragraph("a<draw:frame><draw:text-box><text:p>box</text:p></draw:text-box></draw:frame>b"),
            "ab\nbox",
        ),
        (paragraph("a<draw:custom-shape><text:p>shape</text:p></draw:custom-shape>b"), "ab\nshape"),
        (
            paragraph("<text:ruby><text:ruby-base>base</text:ruby-base><text:ruby-text>x</text:ruby-text></text:ruby>"),
            "base",
        ),
        (
            table(cell(paragraph("l")) + cell(paragraph("b") + table(cell(paragraph("x")) + cell(paragraph("y"))))),
            "l\nb\nx | y",
        ),
        (
            table(
                cell(paragraph("wide"), 'table:number-columns-spanned="2"')
                + "<table:covered-table-cell/>"
                + cell(paragraph("North"), 'table:number-rows-spanned="2"'),
                cell(paragraph("a")) + cell(paragraph("b")) + "<table:covered-table-cell/>",
            ),
            "wide | North\na | b",
        ),
    ],
)
def test_text_is_read_as_seen(body: str, text: str) -> None:
    assert read_text(make("text", body)).strip().startswith(text)


def test_deleted_and_hidden_text_is_left_out_or_marked() -> None:
    styles = '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
    body = (
        '<text:tracked-changes><text:changed-region text:id="c"><text:deletion><dc:creator>Ann</dc:creator>'
        "<text:p>thirty</text:p></text:deletion></text:changed-region></text:tracked-changes><text:p>"
        '<text:change text:change-id="c"/>forty<text:span text:style-name="H"> secret</text:span></text:p>'
        '<text:section text:display="none"><text:p>all hidden</text:p></text:section>'
    )
    data = make("text", body, styles)
    assert read_text(data) == "forty"
    assert warnings(data) == ["hidden text, rows, columns, sheets or slides are left out"]
    shown = read_text(data, options=ReadOptions(hidden=True))
    assert shown == "[deleted: thirty]forty[hidden:  secret]\n[hidden: all hidden]"


def test_items_of_lists_and_headings_are_numbered() -> None:
    styles = (
        '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" '
        'style:num-suffix="."/><text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/>'
        '</text:list-style><text:outline-style><text:outline-level-style text:level="1" style:num-format="I"/>'
        "</text:outline-style>"
    )
    inner = "<text:list><text:list-item><text:p>red</text:p></text:list-item></text:list>"
    body = (
        '<text:h text:outline-level="1">Scope</text:h><text:list text:style-name="L"><text:list-item>'
        f"<text:p>Open</text:p><text:p>wide</text:p>{inner}</text:list-item><text:list-item><text:p>Close</text:p></text:list-item>"
        "</text:list>"
        '<text:list text:style-name="L" text:continue-numbering="true"><text:list-item><text:p>Go on</text:p>'
        '</text:list-item><text:list-item text:start-value="9"><text:p>Nine</text:p></text:list-item></text:list>'
        '<text:h text:outline-level="1">Terms</text:h><text:p>end</text:p>'
    )
    assert read_text(make("text", body, styles)).split("\n") == [
        "I Scope", "1. Open", "wide", "a) red", "2. Close", "3. Go on", "9. Nine", "II Terms", "end",
    ]  # fmt: skip


def test_lengths() -> None:
    assert [length(text) for text in ("1cm", "2.5in", "-3mm", "5", None, "1e9cm")] == [
        360_000, 2_286_000, -108_000, None, None, None,
    ]  # fmt: skip
