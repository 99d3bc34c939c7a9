"""Excel workbooks: values as displayed, comments, charts, hidden sheets."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_xlsx, read, read_metadata, read_text, warnings

STYLES = """<numFmts><numFmt numFmtId="170" formatCode="dd\\.mm\\.yyyy"/></numFmts><cellStyleXfs><xf numFmtId="14"/>
</cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="10"/><xf numFmtId="170"/></cellXfs>"""
RELATION = '<Relationship Id="{}" Type="x/{}" Target="{}"/>'
ROW = '<row r="1"><c r="A1" t="inlineStr"><is><t>Valve</t></is></c><c r="B1"><v>12</v></c></row>'


def relations(*entries: tuple[str, str, str]) -> str:
    return f"<Relationships>{''.join(RELATION.format(*entry) for entry in entries)}</Relationships>"


def test_all_types_of_cells() -> None:
    row = (
        '<row r="3"><c r="A3" t="s"><v>1</v></c><c r="C3"><v>0.1</v></c><c r="D3" s="1"><v>45658</v></c>'
        '<c r="E3" s="2"><v>0.125</v></c><c r="F3" s="3"><v>45658.5</v></c><c r="G3" t="b"><v>1</v></c>'
        '<c r="H3" t="str"><f>A3</f><v>text_x000D_</v></c><c r="I3" t="inlineStr"><is><t>in</t></is></c>'
        '<c r="J3" t="s"><v>99</v></c><c r="K3" t="e"><v>#N/A</v></c><c r="L3" t="d"><v>2024-05-01T10:00</v></c></row>'
    )
    shared = "<si><t>zero</t></si><si><r><t>o</t></r><r><t>ne</t></r><rPh><t>wan</t></rPh></si>"
    assert read(make_xlsx(row, shared, STYLES)) == [
        (
            "sheet Budget, row 3",
            "one | 0.1 | 2025-01-01 | 12.50% | 01.01.2025 | TRUE | text | in | #N/A | 2024-05-01 10:00",
        )
    ]


def test_a_cell_beyond_the_last_column_is_ignored() -> None:
    assert read(make_xlsx('<row r="1048576"><c r="XFD1048576"><v>1</v></c><c r="ZZZ1"><v>2</v></c></row>')) == [
        ("sheet Budget, row 1048576", "1")
    ]


def test_rows_right_below_a_table_have_no_labels() -> None:
    cells = '<row r="{0}"><c r="A{0}" t="str"><v>{1}</v></c><c r="B{0}" t="{2}"><v>{3}</v></c></row>'
    rows = [("Region", "Sales"), ("North", 120), ("South", 90), ("Printed copies", 7), ("Pages", 3)]
    data = "".join(
        cells.format(at, name, "n" if at > 1 else "str", value) for at, (name, value) in enumerate(rows, start=1)
    )
    table = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(("t", "table", "../tables/table1.xml")),
        "xl/tables/table1.xml": '<table id="1" name="Sales" ref="A1:B3" totalsRowShown="0"/>',
    }
    labelled = ["Region | Sales", "Region: North | Sales: 120", "Region: South | Sales: 90"]
    assert read_text(make_xlsx(data, extra=table)).splitlines() == [*labelled, "Printed copies | 7", "Pages | 3"]


def test_comments_stand_below_their_rows_unless_left_out() -> None:
    data = make_xlsx(
        ROW,
        extra={
            "xl/worksheets/_rels/sheet1.xml.rels": relations(
                ("c", "comments", "../comments1.xml"), ("t", "threadedComment", "../threads.xml")
            ),
            "xl/comments1.xml": '<comments><comment ref="B1"><text><r><t>net</t></r></text></comment>'
            '<comment ref="A1"><text><t>[Threaded comment] Your version of Excel</t></text></comment>'
            '<comment ref="D9"><text><t>alone</t></text></comment></comments>',
            "xl/threads.xml": '<ThreadedComments><threadedComment ref="A1"><text>Order two.</text></threadedComment>'
            '<threadedComment ref="A1"><text>Done.</text></threadedComment></ThreadedComments>',
        },
    )
    assert read_text(data).splitlines() == [
        "Valve | 12",
        "Comment on A1: Order two.",
        "Comment on A1: Done.",
        "Comment on B1: net",
        "Comment on D9: alone",
    ]
    assert read_text(data, options=ReadOptions(comments=False)) == "Valve | 12"


def test_titles_of_charts_and_text_boxes_are_read() -> None:
    value = '<pt idx="0"><v>{}</v></pt>'
    chart = (
        "<chartSpace><chart><title><p><r><t>Sales </t></r><r><t>by region</t></r></p></title>"
        f"<ser><tx><strRef><strCache>{value.format(2024)}</strCache></strRef></tx>"
        f"<val><numCache>{value.format(5)}</numCache></val></ser></chart></chartSpace>"
    )
    data = make_xlsx(
        ROW,
        extra={
            "xl/worksheets/_rels/sheet1.xml.rels": relations(("d", "drawing", "../drawings/d.xml")),
            "xl/drawings/d.xml": '<wsDr xmlns:r="urn:r"><sp><txBody><p><r><t>See note</t></r></p></txBody></sp>'
            '<graphicFrame><chart r:id="c"/></graphicFrame><graphicFrame><chart r:id="m"/></graphicFrame></wsDr>',
            "xl/drawings/_rels/d.xml.rels": relations(("c", "chart", "../c.xml"), ("m", "chart", "../missing.xml")),
            "xl/c.xml": chart,
        },
    )
    assert read(data)[1] == ("sheet Budget, drawings", "See note\nSales by region\n2024")
    assert warnings(data) == ["a part of the kind “chart” is missing from the file"]


def test_hidden_sheets_are_left_out_unless_asked_for() -> None:
    data = make_xlsx(ROW, state="veryHidden")
    assert read(data) == []
    assert warnings(data) == ["hidden sheets, rows or columns are left out"]
    assert read(data, options=ReadOptions(hidden=True)) == [("sheet Budget (hidden), row 1", "Valve | 12")]


def test_a_missing_sheet_and_damaged_styles_are_warnings() -> None:
    data = make_xlsx(ROW, styles="<cellXfs>")
    assert read_text(data) == "Valve | 12"
    assert warnings(data)[0].startswith("a part of the kind “styles” is damaged")


def test_the_properties_are_metadata() -> None:
    core = {
        "_rels/.rels": relations(("r", "officeDocument", "xl/workbook.xml"), ("p", "core-properties", "core.xml")),
        "core.xml": "<core><title>Budget</title><creator>Ann</creator><revision>7</revision></core>",
    }
    assert read_metadata(make_xlsx(ROW, extra=core)) == {"title": "Budget", "author": "Ann"}
