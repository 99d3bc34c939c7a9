"""The marks of footnotes in HTML."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import read


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("three years<sup><a href='#fn1'>1</a></sup> and", "three years [1] and"),
        ("percent<a href='#fn2' role=doc-noteref><sup>2</sup></a>.", "percent [2]."),
        ("percent<a href='n.html#2' epub:type=noteref>2</a>.", "percent [2]."),
        ("percent<a href='#2' class='x footnote-ref'>*</a>.", "percent [*]."),
        ("years<sup><a href='#c1'>[1]</a></sup>", "years[1]"),
        ("5 m<sup>2</sup> and H<sub>2</sub>O", "5 m2 and H2O"),
        ("see<sup><a href='/page'>2</a></sup>", "see2"),
    ],
)
def test_marks_are_set_off_from_words(markup: str, text: str) -> None:
    assert read(f"<html><body><p>{markup}".encode()) == [("", text)]
