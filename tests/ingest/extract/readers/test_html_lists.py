"""Numbers of lists in HTML."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import read_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<ol start=5><li>a<li value=9>b<li>c</ol>", "5. a\n9. b\n10. c"),
        ("<ol type=i><li>a<li>b</ol>", "i. a\nii. b"),
        ("<ol type=A start=3><li>a</ol>", "C. a"),
        ("<ol reversed><li>a<li>b</ol>", "2. a\n1. b"),
        ("<ol start=x type=y><li>a</ol>", "1. a"),
        ("<ol start=-1><li>a<li>b</ol>", "-1. a\n0. b"),
        ("<ol style='list-style: none'><li>a</ol>", "- a"),
        ("<ol><li>a<ul><li>b<li>c</ul><li>d</ol>", "1. a\n- b\n- c\n\n2. d"),
        ("<ol><li>a<ol type=a><li>b</ol><li>c</ol>", "1. a\na. b\n\n2. c"),
        ("<li>a", "- a"),
    ],
)
def test_items_have_the_numbers_that_a_browser_shows(markup: str, text: str) -> None:
    assert read_text(f"<html><body>{markup}".encode()) == text
