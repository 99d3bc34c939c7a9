"""Styles and lists of OpenDocument files."""

from __future__ import annotations

import io

from rag_pipeline.ingest.extract.readers.opendocument_styles import ListCounter, OdfStyles
from rag_pipeline.ingest.extract.xml_parser import parse_xml


def parse(xml: str) -> OdfStyles:
    styles = OdfStyles()
    parse_xml(io.BytesIO(f"<s>{xml}</s>".encode()), styles)
    return styles


def test_a_style_may_hide_and_inherit_it() -> None:
    styles = parse(
        '<style name="A"><text-properties display="none"/></style><style name="B" parent-style-name="A"/>'
        '<style name="C" parent-style-name="C"/><style name="D"><table-properties display="false"/></style>'
    )
    assert [styles.is_hidden(name) for name in ("A", "B", "C", "D", "E", None)] == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]


def test_labels_show_several_levels() -> None:
    styles = parse(
        '<list-style name="L"><list-level-style-number level="1" num-format="1" start-value="3"/>'
        '<list-level-style-number level="2" num-format="i" display-levels="2" num-prefix="(" num-suffix=")"/>'
        '<list-level-style-bullet level="3" bullet-char="-"/><list-level-style-number level="4"/></list-style>'
    )
    labels = [styles.list_label("L", level, {1: 2, 2: 4, 3: 1}) for level in (1, 2, 3, 4, 5)]
    assert labels == ["2", "(2.iv)", "•", "", ""]
    assert styles.first_number("L", 1) == 3
    assert styles.heading_label(1, {1: 1}) == ""


def test_a_list_may_go_on_from_another_by_its_id() -> None:
    counter = ListCounter(
        parse('<list-style name="L"><list-level-style-number level="1" num-format="1"/></list-style>')
    )
    labels = []
    for attributes in ({"style-name": "L", "id": "x"}, {"style-name": "L"}, {"style-name": "L", "continue-list": "x"}):
        counter.start_list(attributes)
        counter.start_item({})
        labels.append(counter.take_label())
        assert counter.take_label() == ""
        counter.end_list()
    assert labels == ["1", "1", "2"]
    counter.end_list()
    counter.start_item({})
    assert counter.take_label() == ""
