"""Word documents."""

from __future__ import annotations

from tests.ingest.extract.makers import WORD_NAMESPACE, make_docx, read


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


STYLES = f"""<w:styles {WORD_NAMESPACE}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Own"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>"""
NOTES = f"<w:footnotes {WORD_NAMESPACE}>{paragraph('A note.')}</w:footnotes>"
EXTRA = {
    "word/_rels/document.xml.rels": '<Relationships><Relationship Id="1" Type="x/styles" Target="styles.xml"/>'
    '<Relationship Id="2" Type="x/footnotes" Target="footnotes.xml"/>'
    '<Relationship Id="3" Type="x/endnotes" Target="missing.xml"/></Relationships>',
    "word/styles.xml": STYLES,
    "word/footnotes.xml": NOTES,
}


def test_headings_are_found_by_name_or_level_in_any_language() -> None:
    body = paragraph("Eins", "berschrift1") + paragraph("a") + paragraph("Zwei", "Own") + paragraph("b")
    assert read(make_docx(body, extra=EXTRA)) == [
        ("Eins", "Eins\na"),
        ("Eins › Zwei", "Zwei\nb"),
        ("footnotes", "A note."),
    ]


def test_only_visible_text_is_read() -> None:
    body = (
        "<w:p><w:r><w:t>kept</w:t><w:tab/><w:t>tab</w:t><w:br/><w:t>line</w:t></w:r><w:del><w:r><w:delText>gone"
        "</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
        '<w:p><w:r><mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Choice>'
        "<mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:r></w:p>"
        f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{paragraph('b')}{paragraph('c')}</w:tc></w:tr></w:tbl>"
    )
    ((_, text),) = read(make_docx(body))
    assert text.split("\n")[:3] == ["kept\ttab", "line", "box"]
    assert "a  | b c" in text
    assert text.count("box") == 1
