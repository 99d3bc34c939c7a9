"""HTML pages."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import read


def test_text_is_in_sections_under_headings() -> None:
    page = b"""<!doctype html><title>Page</title><script>if (a<b) {}</script><style>p {}</style>
    <h1>Page</h1><p>One <b>bold</b>word,
    two.<p>Next<br>line<ul><li>first<li>second</ul><select><option>no</select>
    <h2>Part <i>two</i></h2><table><tr><th>A<th>B<tr><td>1<td>2</table><pre>x\n  y</pre>"""
    assert read(page) == [
        ("Page", "Page\nOne boldword, two.\nNext\nline\n- first\n- second"),
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
