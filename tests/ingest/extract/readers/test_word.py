"""Word documents: their parts."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import WORD_NAMESPACE, make_docx, read, read_metadata, read_text, warnings


def paragraph(text: str, style: str = "", more: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t>{more}</w:r></w:p>"


RELATION = '<Relationship Id="{0}" Type="x/{0}" Target="{1}"/>'


def make(body: str, **parts: str) -> bytes:
    """Return a document with parts such as ``styles``, each with a relationship of its name."""
    relations = "".join(RELATION.format(name, f"{name}.xml") for name in parts)
    files = {f"word/{name}.xml": f"<w:{name} {WORD_NAMESPACE}>{xml}</w:{name}>" for name, xml in parts.items()}
    rels = {"word/_rels/document.xml.rels": f"<Relationships>{relations}</Relationships>"}
    return make_docx(body, extra={**rels, **files})


STYLES = """<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Own"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>"""


def test_headings_are_found_by_name_or_level_in_any_language() -> None:
    body = paragraph("Eins", "berschrift1") + paragraph("a") + paragraph("Zwei", "Own") + paragraph("b")
    assert read(make(body, styles=STYLES)) == [("Eins", "Eins\na"), ("Eins › Zwei", "Zwei\nb")]


def test_notes_follow_the_paragraph_that_refers_to_them() -> None:
    body = (
        "<w:p><w:r><w:t>The rate is 4</w:t><w:footnoteReference w:id='2'/></w:r><w:r><w:t> percent</w:t>"
        "<w:endnoteReference w:id='1'/><w:commentReference w:id='0'/></w:r></w:p>" + paragraph("Next.")
    )
    data = make(
        body,
        footnotes=f'<w:footnote w:id="0" w:type="separator">{paragraph("x")}</w:footnote><w:footnote w:id="2">'
        f"{paragraph('Since March.')}</w:footnote>",
        endnotes=f'<w:endnote w:id="1">{paragraph("See annex.")}</w:endnote>',
        comments=f'<w:comment w:id="0" w:author="Ann">{paragraph("Sure?")}</w:comment><w:comment w:id="9">'
        f"{paragraph('Alone.')}</w:comment>",
    )
    assert read(data) == [
        ("", "The rate is 4 percent\nFootnote: Since March.\nEndnote: See annex.\nComment by Ann: Sure?\nNext."),
        ("comments", "Comment: Alone."),
    ]
    assert "Comment" not in read_text(data, options=ReadOptions(comments=False))


def test_headers_and_footers_are_written_once() -> None:
    data = make(paragraph("Body"), header=paragraph("ACME") + paragraph("7"), footer=paragraph("ACME"))
    assert read(data) == [("", "Body"), ("header", "ACME")]


def test_missing_and_damaged_parts_are_warnings() -> None:
    relations = RELATION.format("styles", "gone.xml") + RELATION.format("footnotes", "bad.xml")
    extra = {
        "word/_rels/document.xml.rels": f"<R>{relations}{RELATION.format('aFChunk', 'a.html')}</R>",
        "word/bad.xml": "<a>",
    }
    data = make_docx(paragraph("Body"), extra=extra)
    assert read_text(data) == "Body"
    assert [message.partition(":")[0] for message in warnings(data)] == [
        "a part of the kind “styles” is missing from the file",
        "a part of the kind “footnotes” is damaged",
        "documents embedded in it are left out",
    ]


def test_charts_are_read() -> None:
    chart = "<c:chart xmlns:c='c'><c:title><c:t>Sales</c:t></c:title></c:chart>"
    body = "<w:p><w:r><w:t>See</w:t><w:drawing><c:chart xmlns:c='c' xmlns:r='r' r:id='chart'/></w:drawing></w:r></w:p>"
    rels = {"word/_rels/document.xml.rels": f"<R>{RELATION.format('chart', 'chart.xml')}</R>", "word/chart.xml": chart}
    assert read_text(make_docx(body, extra=rels)) == "See\nSales"


def test_properties_are_metadata() -> None:
    root = RELATION.format("officeDocument", "word/document.xml") + RELATION.format("core-properties", "core.xml")
    extra = {"_rels/.rels": f"<R>{root}</R>", "core.xml": "<c><title>Rules</title><creator>Ann</creator></c>"}
    assert read_metadata(make_docx(paragraph("x"), extra=extra)) == {"title": "Rules", "author": "Ann"}
