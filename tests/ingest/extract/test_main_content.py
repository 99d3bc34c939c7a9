"""The main text of a page is told from its navigation, where that is sure."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.html_tree import parse_html
from rag_pipeline.ingest.extract.main_content import navigation
from rag_pipeline.ingest.extract.readers.html_text import HtmlText
from tests.ingest.extract.makers import text_written

PROSE = "<p>" + "The committee met again on Monday and talked about the plans of the town. " * 3 + "</p>"
MENU = "<ul><li><a href=/a>Products</a><li><a href=/b>Careers</a><li><a href=/c>Imprint</a></ul>"


def kept(page: str) -> str:
    root = parse_html(page)
    return text_written(lambda writer: HtmlText(writer, navigation(root)).write(root.find("body") or root))


@pytest.mark.parametrize(
    "page",
    [
        f"<div class=top>{MENU}</div><div>{PROSE * 5}</div><div id=footer>Careers</div>",
        f"<nav>{MENU}</nav><main>{PROSE}</main><footer>Careers</footer>",
        f"<header>{MENU}</header><div role=main>{PROSE}</div><aside>Careers</aside>",
        f"<article>{PROSE * 3}<div class='share-buttons'>Careers</div></article><div>{PROSE}Careers</div>",
        f"<main>{PROSE * 2}<ol class=comments><li>{PROSE * 9}Careers</ol></main>",
        f"<table><tr><td>{MENU}<td>{PROSE * 5}</table>",
        f"<main>{PROSE * 3}<aside>{MENU}</aside>{PROSE}</main>",
        f"<nav>{MENU}</nav><article><h1>The committee</h1><p>Closed.</article><footer>Careers</footer>",
        f"<main>{PROSE * 3}<aside class=related-stories><p>Careers</p></aside>{PROSE}</main>",
    ],
)
def test_navigation_is_left_out(page: str) -> None:
    text = kept(page)
    assert "The committee" in text
    assert "Careers" not in text


@pytest.mark.parametrize(
    "page",
    [
        f"<div>{MENU}</div><div><h2>Q1</h2><p>Short answer.</p></div><div><h2>Contact</h2>Phone 555 Careers</div>",
        MENU,
        f"<div>{PROSE * 5}</div><div><table><tr><td>Valve<td>12.50<tr><td>Careers<td>99</table></div>",
        f"<div>{PROSE * 3}</div><div>{PROSE * 3} Careers</div>",
        "<p>Careers</p>",
        f"<nav>{MENU}</nav><article>Short</article><p>Careers",
    ],
)
def test_in_doubt_the_whole_page_is_kept(page: str) -> None:
    assert "Careers" in kept(page)


def test_the_first_heading_stays_wherever_it_is() -> None:
    assert kept(f"<div><h1>Plans</h1></div><div>x</div><main>{PROSE}</main>").startswith("Plans")


@pytest.mark.parametrize("note", ["<aside class=note>", "<aside>", "<aside role=note>", "<aside role=complementary>"])
@pytest.mark.parametrize("text", ["main", "article", "div role=main"])
def test_notes_within_the_text_are_kept(note: str, text: str) -> None:
    page = f"<nav>{MENU}</nav><{text}>{PROSE * 4}{note}<p>Never run it dry.</p></aside>{PROSE}</{text.split()[0]}>"
    assert "Never run it dry." in kept(page)
    assert "Careers" not in kept(page)
