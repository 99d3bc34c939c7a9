"""References that XML does not know are mended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.entity_repair import EntityRepair


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("a & b", "a &amp; b"),
        ("&amp; &lt; &#65; &#x41;", "&amp; &lt; &#65; &#x41;"),
        ("&eacute;&bogus;&", "é&amp;bogus;&amp;"),
        ("&#0; &#xD800;", "\ufffd \ufffd"),
        ("<![CDATA[a & b]]> &", "<![CDATA[a & b]]> &amp;"),
        ('<!ENTITY me "x">&me;', '<!ENTITY me "x">&me;'),
        ("<![CDATA[open &", "<![CDATA[open &"),
    ],
)
def test_references(text: str, mended: str) -> None:
    assert EntityRepair().feed(text, is_last=True) == mended


@given(st.text("&;<![CDATA]>#x1amp é"), st.integers(1, 9))
def test_pieces_are_mended_like_the_whole(text: str, size: int) -> None:
    repair = EntityRepair()
    pieces = [repair.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(pieces) + repair.feed("", is_last=True) == EntityRepair().feed(text, is_last=True)
