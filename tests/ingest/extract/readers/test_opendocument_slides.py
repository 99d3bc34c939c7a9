"""Slides of OpenDocument presentations."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_text, warnings
from tests.ingest.extract.readers.test_opendocument import make


def frame(text: str, top: int, more: str = "") -> str:
    return (
        f'<draw:frame svg:x="1cm" svg:y="{top}cm" svg:width="5cm" svg:height="1cm" {more}><draw:text-box><text:p>{text}'
        "</text:p></draw:text-box></draw:frame>"
    )


def test_slides_are_read_from_top_to_bottom_with_titles_notes_and_comments() -> None:
    notes = f"<presentation:notes>{frame('say this', 9)}</presentation:notes>"
    comment = "<office:annotation><text:p>Sure?</text:p></office:annotation>"
    page = frame("low", 8) + frame("high", 3) + frame("Plan", 0, 'presentation:class="title"') + comment + notes
    body = f"<draw:page>{page}</draw:page><draw:page><draw:g>{frame('in a group', 1)}</draw:g></draw:page>"
    assert read(make("presentation", body)) == [
        ("slide 1 › Plan", "Plan\nhigh\nlow\nComment: Sure?\n\nsay this"),
        ("slide 2", "in a group"),
    ]


def test_tables_are_rows() -> None:
    row = "<table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell><text:p>b</text:p>"
    table = f"<draw:frame><table:table>{row}</table:table-cell></table:table-row></table:table></draw:frame>"
    assert read_text(make("presentation", f"<draw:page>{table}</draw:page>")) == "a | b"


def test_hidden_slides_are_left_out_unless_asked_for() -> None:
    styles = (
        '<style:style style:name="H"><style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
    )
    body = f'<draw:page>{frame("one", 1)}</draw:page><draw:page draw:style-name="H">{frame("two", 1)}</draw:page>'
    data = make("presentation", body, styles)
    assert read(data) == [("slide 1", "one")]
    assert len(warnings(data)) == 1
    assert read(data, options=ReadOptions(hidden=True))[1] == ("slide 2 (hidden)", "two")
