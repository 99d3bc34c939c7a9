"""The text of HTML: one line for each row of a table, paragraphs and lists."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import read


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<table><tr><th><p>Product</p><th><p>Price</p><tr><td><div>Pump</div><td><ul><li>99<li>from May</ul></table>",
         "Product | Price\nPump | 99 from May"),
        ("<table><tr><td>a<br>b<td><h4>c</h4></table>", "a b | c"),
        ("<table><tr><td>Pump<td><table><tr><td>x<td>y</table></table>", "Pump | x | y"),
        ("<table><tr><td colspan=2>Title<tr><td>a<td>b</table>", "Title\na | b"),
        ("<table><caption>Fees</caption><tfoot><tr><td>f<td>g</tfoot><tr><td><td>z</table>", "Fees\nf | g\nz"),
        ("<p>Before.</p><select><option>One<p>After it.</p><h2>More</h2><p>Still more.</p>",
         "Before.\n\nOne\nAfter it.\nMore\nStill more."),
        ("a<select><option>One<option>Two</select>b", "ab"),
        ("H<sub>2</sub>O and <b>bold</b>ly", "H2O and boldly"),
        ("<ol><li>one<ul><li>two</ul><li><p>three</p></ol>", "1. one\n- two\n\n2. three"),
        ("<pre>a\n  b</pre>c", "a\n  b\nc"),
        ("<dl><dt>Term<dd>Meaning</dl>", "Term\nMeaning"),
        ("a&nbsp;b &eacute; &bogus; &#8364;", "a b é &bogus; €"),
        ("<form>Question<textarea>The answer\nwas ninety.</textarea></form>", "Question\nThe answer was ninety."),
        ("See <img src=a.png alt='Diagram of the pump'>.", "See Diagram of the pump ."),
        ("<img alt=logo><img alt=''><img>Fine <img alt=😀>", "Fine 😀"),
        ("<table><tr><td><img alt='Red pump'><td>9</table>", "Red pump | 9"),
        ("<math><mi>x</mi><mo>=</mo><mn>1</mn></math>", "x=1"),
    ],
)  # fmt: skip
def test_text_of_elements(markup: str, text: str) -> None:
    assert "\n".join(text for _, text in read(f"<html><body>{markup}".encode())) == text


def test_a_picture_of_an_article_is_described_if_its_text_does_not_say_the_same() -> None:
    bridge = "<img alt='The old bridge at dawn'><figcaption>The old bridge at dawn, 2021</figcaption>"
    prose = "<p>" + "The bridge was built by the town in the spring, and painted by its children. " * 8 + "</p>"
    links = "<ul>" + "<li><a href=/>Imprint and contact</a>" * 3 + "</ul>"
    ((_, text),) = read(
        f"<html><body><article>{prose}<figure>{bridge}<img alt='Map of the river'></figure></article>{links}".encode()
    )
    assert text.splitlines()[2:] == ["The old bridge at dawn, 2021", "Map of the river"]


def test_a_table_of_the_layout_is_not_one_line() -> None:
    cell = "<p>" + "words " * 60 + "</p>"
    ((_, text),) = read(f"<html><table><tr><td>{cell * 4}<td>{cell * 4}</table>".encode())
    assert len(text.splitlines()) == 15
