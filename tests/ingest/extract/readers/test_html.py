"""HTML pages."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.readers.html import write_page
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from tests.ingest.extract.makers import read


def test_text_is_in_sections_under_headings() -> None:
    page = b"""<!doctype html><title>Page</title><script>if (a<b) {}</script><style>p {}</style>
    <h1>Page</h1><p>One <b>bold</b>word,
    two.<p>Next<br>line<ul><li>first<li>second</ul><select><option>no</select>
    <h2>Part <i>two</i></h2><table><tr><th>A<th>B<tr><td>1<td>2</table><pre>x\n  y</pre>"""
    assert read(page) == [
        ("Page", "Page\nOne boldword, two.\n\nNext\nline\n\n- first\n- second"),
        ("Page › Part two", "Part two\nA | B\n1 | 2\n\nx\n  y"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-2", "utf-16"])
def test_the_declared_encoding_is_used(encoding: str) -> None:
    page = f'<html><meta charset="{encoding}"><p>Łódź</html>'.encode(encoding)
    assert read(page, "a.html") == [("", "Łódź")]


@pytest.mark.parametrize(
    "page", [b"<html><svg/>text", b"<html><script></script>text", b"<html></p></pre>text", b"<html>te<!-- <p> -->xt"]
)
def test_odd_markup_loses_no_text(page: bytes) -> None:
    assert read(page, "a.html") == [("", "text")]


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        ("iso-8859-1", "cp1252", "“5 €” at Žižkov"),
        ("gb2312", "gb18030", "朱镕基"),
        ("iso-2022-jp", "iso2022_jp", "東京の天気"),
        ("shift_jis", "cp932", "①㈱髙島屋"),
        ("x-unknown", "utf-8", "Łódź"),
    ],
)
def test_declared_charsets_mean_what_browsers_take_them_for(declared: str, codec: str, text: str) -> None:
    page = f'<html><meta http-equiv="Content-Type" content="text/html; charset={declared}"><p>{text}</html>'
    assert read(page.encode(codec), "a.html") == [("", text)]


def test_the_title_describes_the_page_and_heads_it_if_no_heading_does() -> None:
    writer = SectionWriter(lambda _: None, text_bytes=1000)
    write_page("<title>A  page</title><p>text", writer)
    assert writer.metadata == {"title": "A page"}
    assert read(b"<html><title>A page</title><p>text", "a.html") == [("A page", "A page\ntext")]


def test_navigation_is_left_out() -> None:
    page = b"""<html><body><nav><a href=/>Home</a> <a href=/b>Careers</a></nav><header>Logo</header>
    <main><h1>Refunds</h1><p>They take ten days.</p></main><footer>Imprint</footer></body></html>"""
    assert read(page) == [("Refunds", "Refunds\nThey take ten days.")]


def test_an_empty_tag_of_xhtml_does_not_hide_the_page() -> None:
    start = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">'
    page = start + b'<title/><script src="x"/><a id="b"/>text</html>'
    assert read(page) == [("", "text")]
