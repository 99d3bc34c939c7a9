"""Presentations."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_office, read, read_text, warnings

MAIN = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
RELATION = '<Relationship Id="{}" Type="x/{}" Target="{}"/>'


def slide(*shapes: str, more: str = "") -> str:
    return f'<p:sld xmlns:p="urn:p" xmlns:a="urn:a" xmlns:r="urn:r" {more}>' + "".join(shapes) + "</p:sld>"


def shape(text: str, placeholder: str = "body") -> str:
    return f'<p:sp><p:ph type="{placeholder}"/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp>'


def make(*slides: str, **parts: str) -> bytes:
    """Return a presentation; parts such as ``slides/_rels/slide1.xml.rels`` are named without their folder ppt."""
    relations = [RELATION.format(f"r{n}", "slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1)]
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n in range(1, len(slides) + 1))
    files = {f"ppt/slides/slide{n}.xml": xml for n, xml in enumerate(slides, start=1) if xml}
    return make_office(
        "ppt/presentation.xml",
        MAIN,
        {
            "ppt/presentation.xml": f'<p:presentation xmlns:p="u" xmlns:r="v">{ids}</p:presentation>',
            "ppt/_rels/presentation.xml.rels": f"<R>{''.join(relations)}</R>",
            **files,
            **{f"ppt/{name}": xml for name, xml in parts.items()},
        },
    )


def test_slides_have_titles_notes_and_tables() -> None:
    table = (
        "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:t>l</a:t></a:p></a:tc><a:tc><a:p><a:t>r</a:t></a:p></a:tc></a:tr>"
        "</a:tbl></p:graphicFrame>"
    )
    notes = {
        "slides/_rels/slide1.xml.rels": f"<R>{RELATION.format('n', 'notesSlide', '../notesSlides/n.xml')}</R>",
        "notesSlides/n.xml": slide(shape("say this"), shape("1", "sldNum")),
    }
    data = make(slide(shape("two"), shape("Plan", "title")), slide(shape("one"), table), "", **notes)
    assert read(data) == [("slide 1 › Plan", "Plan\ntwo\n\nsay this"), ("slide 2", "one\nl | r")]
    assert warnings(data) == ["slide 3 is missing from the file"]


def test_hidden_slides_are_left_out_unless_asked_for() -> None:
    data = make(slide(shape("shown")), slide(shape("secret"), more='show="0"'))
    assert read(data) == [("slide 1", "shown")]
    assert warnings(data) == ["hidden slides are left out"]
    assert read(data, options=ReadOptions(hidden=True))[1] == ("slide 2 (hidden)", "secret")


def test_comments_and_replies_are_read_unless_left_out() -> None:
    relations = RELATION.format("a", "comments", "../a.xml") + RELATION.format("b", "comments", "../b.xml")
    parts = {
        "slides/_rels/slide1.xml.rels": f"<R>{relations}</R>",
        "a.xml": "<cmLst><cm><text>Too long</text></cm></cmLst>",
        "b.xml": "<cmLst><cm><reply><txBody><p><t>Yes</t></p></txBody></reply><txBody><p><t>Sure?</t></p></txBody></cm>"
        "</cmLst>",
    }
    data = make(slide(shape("text")), **parts)
    assert read_text(data).splitlines() == ["text", "Comment: Too long", "Comment: Yes", "Comment: Sure?"]
    assert read_text(data, options=ReadOptions(comments=False)) == "text"


def test_charts_are_read_and_a_damaged_slide_costs_itself() -> None:
    chart = '<p:graphicFrame><c:chart xmlns:c="c" r:id="c"/></p:graphicFrame>'
    parts = {
        "slides/_rels/slide1.xml.rels": f"<R>{RELATION.format('c', 'chart', '../c.xml')}</R>",
        "c.xml": "<c><title><t>Sales</t></title></c>",
    }
    data = make(slide(chart), "<p:sld>", slide(shape("last")), **parts)
    assert read(data) == [("slide 1", "Sales"), ("slide 3", "last")]
    assert warnings(data)[0].startswith("a part of the kind “slide” is damaged")
