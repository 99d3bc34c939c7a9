"""Presentations."""

from __future__ import annotations

from tests.ingest.extract.makers import make_office, read, warnings

MAIN = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
RELATION = '<Relationship Id="{}" Type="x/{}" Target="{}"/>'


def slide(*shapes: str) -> str:
    return '<p:sld xmlns:p="urn:p" xmlns:a="urn:a">' + "".join(shapes) + "</p:sld>"


def shape(text: str, placeholder: str = "body") -> str:
    return f'<p:sp><p:ph type="{placeholder}"/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp>'


def test_slides_are_in_presentation_order_with_their_notes() -> None:
    table = "<a:tbl><a:tr><a:tc><a:p><a:t>l</a:t></a:p></a:tc><a:tc><a:p><a:t>r</a:t></a:p></a:tc></a:tr></a:tbl>"
    relations = [RELATION.format(f"r{n}", "slide", f"slides/slide{n}.xml") for n in (1, 2, 3)]
    data = make_office(
        "ppt/presentation.xml",
        MAIN,
        {
            "ppt/presentation.xml": '<p:presentation xmlns:p="u" xmlns:r="v"><p:sldId id="256" r:id="r2"/>'
            '<p:sldId id="257" r:id="r1"/><p:sldId id="258" r:id="r3"/></p:presentation>',
            "ppt/_rels/presentation.xml.rels": f"<Relationships>{''.join(relations)}</Relationships>",
            "ppt/slides/slide1.xml": slide(shape("one"), shape("7", "sldNum"), table),
            "ppt/slides/slide2.xml": slide(shape("two")),
            "ppt/slides/_rels/slide2.xml.rels": "<Relationships>"
            f"{RELATION.format('n', 'notesSlide', '../notesSlides/n.xml')}</Relationships>",
            "ppt/notesSlides/n.xml": slide(shape("say this")),
        },
    )
    assert read(data) == [("slide 1", "two\n\nsay this"), ("slide 2", "one\n\nl | r")]
    assert warnings(data) == ["slide 3 is missing from the file"]
