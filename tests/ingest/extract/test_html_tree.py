"""HTML is parsed as browsers do, into the visible elements."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.html_tree import MAX_DEPTH, parse_html


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>x</script>", "<style>x</style>", "<template><p>x</template>", "<!-- x -->", "<p hidden>x</p>",
        "<div style='color: red; display: none'>x</div>", "<p style='visibility:hidden'>x</p>", "<dialog>x</dialog>",
        "<noscript>x</noscript>", "<iframe>x</iframe>", "<svg><text>x</text></svg>",
        "<ruby><rt>x</rt></ruby>", "<script>x", "<!-- x",
    ],
)  # fmt: skip
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    assert parse_html(f"<p>a</p>{hidden}").text() == "a"


def test_elements_and_attributes() -> None:
    root = parse_html("<title>T</title><p id=a class='b c'>one <b>two</b><p>three")
    paragraph = root.find("p")
    assert paragraph is not None
    assert (paragraph.attributes, paragraph.text()) == ({"id": "a", "class": "b c"}, "one two")
    assert [element.tag for element in root.elements()] == ["html", "head", "title", "body", "p", "b", "p"]
    assert root.find("table") is None


@pytest.mark.parametrize("tag", ["div", "b", "font", "ul", "table", "h1", "blockquote", "a"])
def test_deep_pages_are_flattened_and_lose_no_text(tag: str) -> None:
    root = parse_html(f"<{tag}>x<p>&lt;y " * (MAX_DEPTH * 4))
    assert root.text().count("x") == root.text().count("<y") == MAX_DEPTH * 4
    depth, level = 0, [root]
    while level:
        depth += 1
        level = [child for element in level for child in element.children if not isinstance(child, str)]
    assert depth < 10


def test_wide_pages_are_not_flattened() -> None:
    root = parse_html("<div><p>x<br></div>" * 2000)
    assert sum(element.tag == "div" for element in root.elements()) == 2000


def test_the_page_without_frames_is_parsed() -> None:
    root = parse_html(
        "<frameset><frame src=a><noframes><body><p>No <b>frames</b>.<noframes>x</body></noframes></frameset>"
    )
    body = root.find("body")
    assert body is not None
    assert (body.text(), body.find("b") is not None) == ("No frames.", True)
    assert parse_html("<frameset><noframes>" + "<noframes>x" * 3000).text().count("x") <= 3000
