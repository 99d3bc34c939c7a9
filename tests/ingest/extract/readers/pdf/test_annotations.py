"""Values of form fields stand where people see them, and notes at the end of their page."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.readers.pdf.annotations import insert_fragments
from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment
from tests.ingest.extract.makers import read, warnings
from tests.ingest.extract.readers.pdf.makers import with_fields

WIDGET = b"/Type/Annot/Subtype/Widget/Rect[150 695 300 712]"


def text_of(*annotations: bytes, form: bool = True) -> str:
    """Return the text of a page that has ``Name:`` on it."""
    ((_, text),) = read(with_fields(*annotations, form=form))
    return text


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"/FT/Tx/T(name)/V(Ann Example)", "Name: Ann Example"),
        (b"/FT/Tx/T(name)/V<FEFF00DC0062006500720073006900630068007400>", "Name: Übersicht"),
        (b"/FT/Btn/T(ok)/V/Yes/AS/Yes/AP<</N<</Yes 5 0 R/Off 5 0 R>>>>", "Name: [x]"),
        (b"/FT/Btn/T(ok)/V/Off/AS/Off/AP<</N<</Yes 5 0 R/Off 5 0 R>>>>", "Name: [ ]"),
        (b"/FT/Tx/T(name)", "Name:"),
    ],
)
def test_values_stand_beside_their_labels(field: bytes, value: str, form: bool) -> None:
    assert text_of(b"<<%s%s>>" % (WIDGET, field), form=form) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"/FT/Ch/Ff 131072/T(c)/Opt[[(no)(Norway)][(es)(Spain)]]/V(es)", "Name: Spain"),
        (b"/FT/Ch/T(c)/Opt[(a)(b)(c)]/V[(a)(c)]/I[0 2]", "Name: a, c"),
        (b"/FT/Ch/Ff 393216/T(c)/Opt[(a)(b)]/V(typed in)", "Name: typed in"),
        (b"/FT/Tx/Ff 8192/T(p)/V(secret)", "Name:"),
        (b"/FT/Btn/Ff 65536/T(push)/MK<</CA(Send)>>", "Name:"),
        (b"/FT/Tx/T(name)/V(hidden value)/F 2", "Name:"),
    ],
)
def test_kinds_of_fields(field: bytes, value: str) -> None:
    assert text_of(b"<<%s%s>>" % (WIDGET, field)) == value


@pytest.mark.parametrize(("name", "value"), [(b"express", " express"), (b"On", ""), (b"2", ""), (b"Choice_1", "")])
def test_a_chosen_radio_button_has_its_name(name: bytes, value: str) -> None:
    button = b"/FT/Btn/Ff 32768/T(kind)/V/%s/AS/%s/AP<</N<</%s 5 0 R/Off 5 0 R>>>>" % (name, name, name)
    assert text_of(b"<<%s%s>>" % (WIDGET, button)) == "Name: [x]" + value


def test_a_value_of_a_parent_field_is_read() -> None:
    parent = b"<</FT/Tx/T(name)/V(Ann Example)/Kids[6 0 R]>>"
    assert text_of(b"<<%s/Parent 7 0 R>>" % WIDGET, parent) == "Name: Ann Example"


def test_text_boxes_stand_on_the_page_and_notes_below() -> None:
    box = b"<</Type/Annot/Subtype/FreeText/Contents(Price is 90)/Rect[150 600 300 620]>>"
    note = b"<</Type/Annot/Subtype/Text/Contents(Please check)/Rect[500 800 510 810]>>"
    popup = b"<</Type/Annot/Subtype/Popup/Contents(Please check)/Rect[500 800 510 810]>>"
    assert text_of(note, box, popup) == "Name:\nPrice is 90\nNote: Please check"


def test_a_form_in_xml_is_a_warning() -> None:
    data = with_fields(b"<<%s/FT/Tx/T(name)>>" % WIDGET).replace(b"/AcroForm<<", b"/AcroForm<</XFA 5 0 R")
    assert warnings(data) == ["form values could not be read"]


def test_many_annotations_are_cut() -> None:
    note = b"<</Type/Annot/Subtype/Text/Contents(x)/Rect[1 1 2 2]>>"
    data = with_fields(note).replace(b"/Annots[6 0 R]", b"/Annots[" + b"6 0 R " * 10_100 + b"]")
    assert read(data)[0][1].count("Note: x") == 5_000


def test_a_fragment_without_neighbours_comes_first() -> None:
    fragments = [Fragment("below", 0, 0, 10, 10)]
    insert_fragments(fragments, [Fragment("top", 0, 100, 10, 110)])
    assert [fragment.text for fragment in fragments] == ["top", "below"]
