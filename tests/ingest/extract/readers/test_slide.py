"""The shapes of slides."""

from __future__ import annotations

import io

from rag_pipeline.ingest.extract.readers.slide import Slide
from rag_pipeline.ingest.extract.readers.slide_layout import Box, reading_order
from rag_pipeline.ingest.extract.xml_parser import parse_xml


def parse(xml: str, slide: Slide | None = None) -> Slide:
    slide = slide or Slide()
    parse_xml(io.BytesIO(f'<sld xmlns:r="r">{xml}</sld>'.encode()), slide)
    return slide


def lines(xml: str, slide: Slide | None = None) -> list[str]:
    return [line for shape in reading_order(parse(xml, slide).root.shapes) for line in shape.lines]


def paragraphs(*texts: str, more: str = "") -> str:
    return "".join(f"<p><pPr>{more}</pPr><r><t>{text}</t></r></p>" for text in texts)


def test_text_of_shapes_groups_and_breaks() -> None:
    xml = f"<sp>{paragraphs('a')}<p><t>b</t><br/><t>c</t></p></sp><grpSp><sp>{paragraphs('in')}</sp></grpSp>"
    assert lines(xml) == ["a", "b\nc", "in"]


def test_placeholders_take_their_position_from_the_layout() -> None:
    layout = parse('<sp><ph type="body" idx="1"/><xfrm><off x="0" y="9"/><ext cx="5" cy="5"/></xfrm></sp>')
    assert layout.placeholders["", "1"] == Box(0, 9, 5, 14)
    slide = Slide(placeholders=layout.placeholders)
    xml = (
        f'<sp><ph type="body" idx="1"/>{paragraphs("second")}</sp>'
        f'<sp><xfrm><off x="0" y="0"/><ext cx="5" cy="5"/></xfrm>{paragraphs("first")}</sp>'
    )
    assert lines(xml, slide) == ["first", "second"]


def test_titles_are_known_and_page_furniture_is_left_out() -> None:
    slide = parse(f'<sp><ph type="ctrTitle"/>{paragraphs("T")}</sp><sp><ph type="sldNum"/>{paragraphs("7")}</sp>')
    assert [(shape.is_title, shape.lines) for shape in slide.root.shapes] == [(True, ["T"]), (False, [])]


def test_numbered_paragraphs() -> None:
    first = paragraphs("one", "two", more='<buAutoNum type="arabicPeriod" startAt="3"/>')
    inner = paragraphs("in").replace("<pPr>", '<pPr lvl="1"><buAutoNum type="alphaLcParenBoth"/>')
    assert lines(f"<sp>{first}{inner}{paragraphs('plain')}</sp>") == ["3. one", "4. two", "(a) in", "plain"]


def test_rows_of_tables_are_lines() -> None:
    def cell(text: str, more: str = "") -> str:
        return f"<tc {more}>{paragraphs(text)}</tc>"

    first = cell("wide", "gridSpan='2'") + cell("", "hMerge='1'") + cell("North", "rowSpan='2'")
    rows = f"<tr>{first}</tr><tr>{cell('a')}{cell('b')}" + cell("", "vMerge='1'") + "</tr>"
    assert lines(f"<graphicFrame><tbl>{rows}</tbl></graphicFrame>") == ["wide | North", "a | b | North"]


def test_charts_and_alternatives() -> None:
    slide = Slide(lambda key: [f"chart {key}"])
    xml = (
        '<AlternateContent><Choice><graphicFrame><chart r:id="c1"/></graphicFrame></Choice><Fallback><pic>'
        f"<sp>{paragraphs('twice')}</sp></pic></Fallback></AlternateContent>"
    )
    assert lines(xml, slide) == ["chart c1"]


def test_hidden_slides_are_known() -> None:
    slide = Slide()
    parse_xml(io.BytesIO(b'<sld show="0"/>'), slide)
    assert slide.is_hidden
    assert not parse("").is_hidden
