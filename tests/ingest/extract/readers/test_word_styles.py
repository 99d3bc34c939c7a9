"""Styles and lists of Word documents."""

from __future__ import annotations

import io

from rag_pipeline.ingest.extract.readers.word_styles import Numbering, Styles, is_on, whole_number
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, parse_xml


def parse(handler: XmlHandler, xml: str) -> None:
    parse_xml(io.BytesIO(f"<w>{xml}</w>".encode()), handler)


def test_styles_take_what_they_lack_from_their_base() -> None:
    styles = Styles()
    parse(
        styles,
        '<style styleId="A"><name val="Heading 2"/><numId val="3"/><vanish/></style>'
        '<style styleId="B"><name val="b"/><basedOn val="A"/><ilvl val="1"/><vanish val="0"/></style>'
        '<style styleId="C"><name val="c"/><basedOn val="C"/></style>'
        '<style styleId="D"><name val="d"/><outlineLvl val="9"/></style>',
    )
    found = styles.resolve("B")
    assert (found.level, found.list_id, found.list_level, found.is_hidden) == (2, "3", 1, False)
    assert styles.resolve("A").is_hidden
    assert styles.resolve("C").level is None
    assert styles.resolve("D").level is None
    assert styles.resolve("missing").level is None


def make_numbering(text: str, more: str = "") -> Numbering:
    numbering = Numbering()
    parse(
        numbering,
        f'<abstractNum abstractNumId="0"><lvl ilvl="0"><start val="3"/><lvlText val="{text}"/></lvl><lvl ilvl="1">'
        f'<lvlText val="%1.%2"/><numFmt val="upperRoman"/><isLgl/>{more}</lvl></abstractNum>'
        '<abstractNum abstractNumId="1"><numStyleLink val="S"/></abstractNum>'
        '<num numId="1"><abstractNumId val="0"/></num><num numId="2"><abstractNumId val="1"/></num>'
        '<num numId="3"><abstractNumId val="0"/><lvlOverride ilvl="0"><lvl ilvl="0"><numFmt val="bullet"/></lvl>'
        "</lvlOverride></num>",
    )
    return numbering


def test_levels_start_count_and_restart() -> None:
    numbering, styles = make_numbering("Article %1:"), Styles()
    labels = [numbering.label("1", level, "", styles) for level in (0, 1, 1, 0, 1)]
    assert labels == ["Article 3:", "3.1", "3.2", "Article 4:", "4.1"]
    assert numbering.label("3", 0, "", styles) == "•"
    assert numbering.label("9", 0, "", styles) == ""
    assert numbering.label("1", 7, "", styles) == ""


def test_a_level_may_go_on_and_belong_to_a_style() -> None:
    numbering, styles = make_numbering("%1.", '<lvlRestart val="0"/><pStyle val="Sub"/>'), Styles()
    labels = [numbering.label("1", level, style, styles) for level, style in ((0, ""), (None, "Sub"), (0, ""), (1, ""))]
    assert labels == ["3.", "3.1", "4.", "4.2"]


def test_a_list_may_be_that_of_a_style() -> None:
    numbering, styles = make_numbering("%1)"), Styles()
    parse(styles, '<style styleId="S"><numId val="1"/></style>')
    assert numbering.label("2", 0, "", styles) == "3)"


def test_numbers_of_attributes() -> None:
    assert [whole_number(text, 5) for text in ("7", "-2", "x", "", None, "1" * 20)] == [7, -2, 5, 5, 5, 5]
    assert [is_on({"urn:w val": value}) for value in ("1", "false", "")] == [True, False, True]
    assert is_on({})
