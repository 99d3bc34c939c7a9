"""Excel workbooks: values as displayed."""

from __future__ import annotations

from tests.ingest.extract.makers import make_xlsx, read

STYLES = """<numFmts><numFmt numFmtId="170" formatCode="dd\\.mm\\.yyyy"/></numFmts><cellStyleXfs><xf numFmtId="14"/>
</cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="10"/><xf numFmtId="170"/></cellXfs>"""


def test_all_types_of_cells() -> None:
    row = (
        '<row r="3"><c r="A3" t="s"><v>1</v></c><c r="C3"><v>0.1</v></c><c r="D3" s="1"><v>45658</v></c>'
        '<c r="E3" s="2"><v>0.125</v></c><c r="F3" s="3"><v>45658.5</v></c><c r="G3" t="b"><v>1</v></c>'
        '<c r="H3" t="str"><f>A3</f><v>text</v></c><c r="I3" t="inlineStr"><is><t>in</t></is></c>'
        '<c r="J3" t="s"><v>99</v></c><c r="K3" t="e"><v>#N/A</v></c></row>'
    )
    shared = "<si><t>zero</t></si><si><r><t>o</t></r><r><t>ne</t></r><rPh><t>wan</t></rPh></si>"
    assert read(make_xlsx(row, shared, STYLES)) == [
        ("sheet Budget, row 3", "one | 0.1 | 2025-01-01 | 12.5% | 2025-01-01 12:00 | TRUE | text | in | #N/A")
    ]


def test_a_cell_beyond_the_last_column_is_ignored() -> None:
    assert read(make_xlsx('<row r="1048576"><c r="XFD1048576"><v>1</v></c><c r="ZZZ1"><v>2</v></c></row>')) == [
        ("sheet Budget, row 1048576", "1")
    ]
