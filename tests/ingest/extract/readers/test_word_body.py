"""Paragraphs, tables, lists and changes of Word documents."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_docx, read_text, warnings
from tests.ingest.extract.readers.test_word import make, paragraph


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def table(*rows: tuple[str, ...]) -> str:
    cells = ("".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


FRACTION = "<m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/></w:r></w:p>", "a\tb\nc-"),
        ("<w:p><w:r><w:instrText>PAGE</w:instrText><w:sym w:font='Symbol' w:char='F061'/></w:r></w:p>", "α"),
        (f"<w:p><w:ruby><w:rt>{run('reading')}</w:rt><w:rubyBase>{run('base')}</w:rubyBase></w:ruby></w:p>", "base"),
        (f"<w:p><w:sdt><w:sdtPr/><w:sdtContent>{run('in a control')}</w:sdtContent></w:sdt></w:p>", "in a control"),
        (f"<w:p><w:ins>{run('new')}</w:ins><w:hyperlink>{run(' link')}</w:hyperlink></w:p>", "new link"),
        (f"<w:p><m:oMath xmlns:m='m'>{FRACTION}</m:oMath></w:p>", "a/b"),
        (table((paragraph("a"), paragraph("b") + paragraph("c"))), "a | b c"),
        (table((paragraph("l"), table((paragraph("x"), paragraph("y"))), paragraph("r"))), "l\nx | y\nr"),
        (table((paragraph("only") + paragraph("cell"),)), "only\ncell"),
    ],
)
def test_text_is_read_as_seen(body: str, text: str) -> None:
    assert read_text(make_docx(body)).strip() == text


def test_a_text_box_follows_its_paragraph_and_is_read_once() -> None:
    box = f"<w:txbxContent>{paragraph('box')}</w:txbxContent>"
    body = (
        f'<w:p>{run("before ")}<w:r><mc:AlternateContent xmlns:mc="m"><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}'
        f"</mc:Fallback></mc:AlternateContent></w:r>{run('after')}</w:p>"
    )
    assert read_text(make_docx(body)) == "before after\nbox"
    only = body.replace(f"<mc:Choice>{box}</mc:Choice>", "")
    assert read_text(make_docx(only)) == "before after\nbox"


def test_deleted_moved_and_hidden_text_is_left_out_or_marked() -> None:
    body = (
        f"<w:p><w:del><w:r><w:delText>thirty</w:delText></w:r></w:del>{run('forty')}{run(' secret', '<w:vanish/>')}"
        f"""{run(" shown", "<w:vanish w:val='0'/>")}</w:p>"""
        f"<w:p><w:moveFrom>{run('moved')}</w:moveFrom></w:p><w:p><w:moveTo>{run('moved')}</w:moveTo></w:p>"
    )
    data = make_docx(body)
    assert read_text(data).split("\n") == ["forty shown", "", "moved"]
    assert warnings(data) == ["hidden words are left out"]
    assert read_text(data, options=ReadOptions(hidden=True)).split("\n") == [
        "[deleted: thirty]forty[hidden:  secret] shown", "[deleted: moved]", "moved",
    ]  # fmt: skip


def test_deleted_paragraph_marks_and_rows() -> None:
    mark = "<w:pPr><w:rPr><w:del/></w:rPr></w:pPr>"
    assert read_text(make_docx(f"<w:p>{mark}{run('one ')}</w:p><w:p>{run('paragraph')}</w:p>")) == "one paragraph"
    row = f"<w:tr><w:trPr><w:del/></w:trPr><w:tc>{paragraph('gone')}</w:tc></w:tr>"
    body = f"<w:tbl>{row}<w:tr><w:tc>{paragraph('kept')}</w:tc></w:tr></w:tbl>"
    assert read_text(make_docx(body)) == "kept"


def test_replaced_properties_are_ignored() -> None:
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Own"/><w:pPrChange><w:pPr><w:pStyle w:val="x"/></w:pPr></w:pPrChange></w:pPr>'
        f"{run('Title')}</w:p>{paragraph('text')}"
    )
    styles = '<w:style w:styleId="Own"><w:name w:val="heading 1"/></w:style>'
    assert read_text(make(body, styles=styles)) == "Title\ntext"


def test_cells_that_extend_over_rows_belong_to_each() -> None:
    def cell(text: str, merge: str = "") -> str:
        return f"<w:tc><w:tcPr>{merge}</w:tcPr>{paragraph(text)}</w:tc>"

    body = (
        f"""<w:tbl><w:tr>{cell("wide", "<w:gridSpan w:val='2'/>")}"""
        f"""{cell("North", "<w:vMerge w:val='restart'/>")}</w:tr>"""
        f"<w:tr>{cell('a')}{cell('b')}{cell('', '<w:vMerge/>')}</w:tr></w:tbl>"
    )
    assert read_text(make_docx(body)) == "wide | North\na | b | North"


LEVELS = (
    '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>'
    '<w:lvl w:ilvl="2"><w:numFmt w:val="bullet"/><w:lvlText w:val=""/></w:lvl>'
)
NUMBERING = (
    f'<w:abstractNum w:abstractNumId="0">{LEVELS}</w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/>'
    "</w:lvlOverride></w:num>"
)


def item(text: str, level: int = 0, number: int = 1) -> str:
    numbers = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return f'<w:p><w:pPr>{numbers}<w:pStyle w:val="Compact"/></w:pPr>{run(text)}</w:p>'


def test_paragraphs_of_lists_have_their_numbers() -> None:
    items = (("Open",), ("valve", 1), ("pump", 1), ("red", 2), ("Close",), ("tap", 1), ("Go on", 0, 2), ("Then", 0, 2))
    body = "".join(item(*entry) for entry in items) + item("plain", 0, 0)
    assert read_text(make(body, numbering=NUMBERING)).split("\n") == [
        "1. Open", "1.a) valve", "1.b) pump", "• red", "2. Close", "2.a) tap", "7. Go on", "8. Then", "plain",
    ]  # fmt: skip


def test_the_style_of_a_paragraph_may_number_it() -> None:
    styles = (
        '<w:style w:styleId="Base"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>'
        '</w:style><w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="Base"/></w:style>'
    )
    body = paragraph("Scope", "Own") + paragraph("text") + paragraph("Terms", "Base") + paragraph("more")
    assert read_text(make(body, styles=styles, numbering=NUMBERING)) == "1. Scope\ntext\n2. Terms\nmore"
