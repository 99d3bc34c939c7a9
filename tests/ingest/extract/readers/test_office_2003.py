"""Documents and workbooks in the XML of Office 2003."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_metadata, warnings

_WORD = """<?xml version="1.0"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"
 xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:aml="http://schemas.microsoft.com/aml/2001/core">
<o:DocumentProperties><o:Title>Plan</o:Title><o:Pages>1</o:Pages></o:DocumentProperties>
<w:styles><w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/></w:style></w:styles>
<w:body>{}</w:body></w:wordDocument>"""
_EXCEL = """<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"
 xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Styles><Style ss:ID="a"/></Styles>
<Worksheet ss:Name="Sales"><Table>{}</Table></Worksheet></Workbook>"""


def word(body: str) -> bytes:
    return _WORD.format(body).encode()


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def cells(*values: str) -> str:
    return "".join(f'<Cell><Data ss:Type="String">{value}</Data></Cell>' for value in values)


def test_a_document_is_read_under_its_headings() -> None:
    table = f"<w:tbl><w:tr><w:tc>{paragraph('A')}</w:tc><w:tc>{paragraph('B')}</w:tc></w:tr></w:tbl>"
    heading = paragraph("Leave", '<w:pPr><w:pStyle w:val="H1"/></w:pPr>')
    data = word(heading + paragraph("Thirty days.") + table)
    assert read(data, "a.doc") == [("Leave", "Leave\nThirty days.\nA | B")]
    assert read_metadata(data)["title"] == "Plan"


def test_notes_follow_their_paragraph_and_deleted_words_are_left_out() -> None:
    note = f"<w:r><w:footnote>{paragraph('Since March.')}</w:footnote></w:r>"
    old = "<aml:content><w:r><w:delText>old</w:delText></w:r></aml:content>"
    gone = f'<aml:annotation w:type="Word.Deletion">{old}</aml:annotation>'
    data = word(f"<w:p><w:r><w:t>Ninety</w:t></w:r>{note}{gone}<w:r><w:t> euros.</w:t></w:r></w:p>")
    assert read(data, "a.xml") == [("", "Ninety euros.\nSince March.")]


def test_comments_are_an_option() -> None:
    comment = f'<aml:annotation w:type="Word.Comment"><aml:content>{paragraph("Why?")}</aml:content></aml:annotation>'
    data = word(f"<w:p><w:r><w:t>Text</w:t></w:r><w:r>{comment}</w:r></w:p>")
    assert "Why?" in read(data, "a.xml")[0][1]
    assert read(data, "a.xml", options=ReadOptions(comments=False)) == [("", "Text")]


def test_sheets_are_read_row_by_row() -> None:
    day = '<Cell ss:Index="3"><Data ss:Type="DateTime">2024-05-01T00:00:00.000</Data></Cell>'
    price = '<Cell><Data ss:Type="Number">12.5</Data><Comment><Data>net</Data></Comment></Cell>'
    rows = f"<Row>{cells('Item', 'Price', 'Since')}</Row><Row>{cells('Valve')}{price}{day}</Row>"
    rows += f"<Row ss:Hidden='1'>{cells('Secret')}</Row><Row ss:Index='5'>{cells('Pump')}</Row>"
    data = _EXCEL.format(rows).encode()
    ((place, text),) = read(data, "a.xls")
    assert place == "sheet Sales, rows 1-5"
    assert text.splitlines()[:3] == [
        "Item | Price | Since",
        "Item: Valve | Price: 12.5 | Since: 2024-05-01",
        "Comment: net",
    ]
    assert "Pump" in text
    assert "Secret" not in text
    assert warnings(data) == ["hidden rows are left out"]
    assert "Secret" in read(data, "a.xls", options=ReadOptions(hidden=True))[0][1]
