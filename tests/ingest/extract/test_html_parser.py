"""The HTML parser gives the same result however the page is split; unclosed constructs extend to its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.html_parser import HtmlParser


class Recorder(HtmlParser):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self._is_text = False

    def open_tag(self, tag: str, *, is_empty: bool) -> None:
        self._add(f"<{tag}/>" if is_empty else f"<{tag}>")

    def close_tag(self, tag: str) -> None:
        self._add(f"</{tag}>")

    def data(self, text: str) -> None:
        if self._is_text:
            self.events[-1] += text
        else:
            self.events.append(text)
        self._is_text = True

    def _add(self, what: str) -> None:
        self.events.append(what)
        self._is_text = False


def parse(*pieces: str) -> list[str]:
    recorder = Recorder()
    for piece in pieces:
        recorder.feed(piece)
    recorder.close()
    return recorder.events


@pytest.mark.parametrize(
    ("page", "events"),
    [
        ("<P class=a>one</p >two", ["<p>", "one", "</p>", "two"]),
        ("a<br/>b<br />c", ["a", "<br/>", "b", "<br/>", "c"]),
        ("<a b=\"1 > 2\" c='>' d>x", ["<a>", "x"]),
        ('<a b = "/">x<a b=/>y', ["<a>", "x", "<a/>", "y"]),
        ('<a ">x', ["<a>", "x"]),
        ("1 < 2 &amp; 3 &lt 4 &#x41; <3", ["1 < 2 & 3 < 4 A <3"]),
        ("a<!-- <p> -- > -->b<!-->c<!--->d<!-- --!>e", ["abcde"]),
        ("a<!doctype html>b<?php x ?>c</>d</ p>e", ["abcde"]),
        ("a<![CDATA[ <p> ]]>b", ["ab"]),
        ("<script>if (a<b) {}</scripts></script>x", ["<script>", "</script>", "x"]),
        ("<STYLE>p</STYLE\n>x", ["<style>", "</style>", "x"]),
        ("<script/>x", ["<script/>", "x"]),
        ("a<!-- never closed <p>", ["a"]),
        ("a<p title='never closed>b", ["a"]),
        ("a<script>b", ["a", "<script>"]),
        ("a<p", ["a"]),
        ("a<", ["a<"]),
        ("a&am", ["a&am"]),
        ("a&amp", ["a&"]),
    ],
)
def test_markup_is_split_from_text_however_it_is_fed(page: str, events: list[str]) -> None:
    assert parse(page) == events
    assert parse(*page) == events
    for at in range(len(page)):
        assert parse(page[:at], page[at:]) == events


WORDS = ("<", ">", "</", "/", "p", "script", "<!--", "-->", "=", '"', "'", " ", "&", "amp;", "<![CDATA[", "]]>")
MARKUP = st.lists(st.sampled_from(WORDS)).map("".join)


@given(MARKUP, st.integers(0, 40))
def test_the_result_does_not_depend_on_the_split(page: str, at: int) -> None:
    assert parse(page[:at], page[at:]) == parse(page) == parse(*page)
