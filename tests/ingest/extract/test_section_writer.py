"""Sections: their locators, their size, and clean text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ExtractionLimitError
from rag_pipeline.ingest.extract.messages import Progressed, SectionFound, Warned, WorkerMessage
from rag_pipeline.ingest.extract.section_writer import SECTION_CHARACTERS, SectionWriter, clean


def make(text_bytes: int = 10_000_000) -> tuple[SectionWriter, list[WorkerMessage]]:
    sent: list[WorkerMessage] = []
    return SectionWriter(sent.append, text_bytes=text_bytes), sent


def test_headings_form_a_path_and_headings_without_text_share_a_section() -> None:
    writer, sent = make()
    writer.heading(1, " Hand\nbook ")
    writer.heading(2, "Leave")
    writer.write("27 days\n")
    writer.heading(2, "Sick leave")
    writer.write("a note\n")
    writer.heading(1, "End")
    writer.flush()
    assert sent == [
        SectionFound("Hand book › Leave", "Hand book\nLeave\n27 days"),
        SectionFound("Hand book › Sick leave", "Sick leave\na note"),
        SectionFound("End", "End"),
    ]


@given(st.lists(st.text(alphabet=st.sampled_from("ab \n"), max_size=40), max_size=20), st.integers(1, 4000))
def test_long_sections_are_split_and_nothing_is_lost(pieces: list[str], repeat: int) -> None:
    writer, sent = make()
    for piece in pieces:
        writer.write(piece * repeat)
    writer.flush()
    texts = [message.text for message in sent if isinstance(message, SectionFound)]
    assert all(len(text) <= SECTION_CHARACTERS for text in texts)
    assert "".join("".join(texts).split()) == "".join("".join(piece * repeat for piece in pieces).split())


@given(st.text(alphabet=st.characters()))
def test_clean_text_is_valid_unicode(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not any(ord(char) < 32 and char not in "\t\n" for char in cleaned)
    assert clean(cleaned) == cleaned or "\n\n" in cleaned


def test_a_lone_surrogate_is_replaced() -> None:
    assert clean("a\ud83d\r\nb\x00\x07 \f") == "a\ufffd\nb\n"


def test_the_text_is_limited() -> None:
    writer, sent = make(text_bytes=10)
    writer.write("ééééé")
    writer.flush()
    writer.write("x")
    with pytest.raises(ExtractionLimitError, match="more than 10 bytes"):
        writer.flush()
    assert sent == [SectionFound("", "ééééé")]


def test_progress_only_rises_and_warnings_are_limited() -> None:
    writer, sent = make()
    for fraction in (0.2, 0.1, 0.2, 5.0):
        writer.progress(fraction)
    for _ in range(100):
        writer.warn("left out")
    assert sent[0] == Progressed(0.2)
    assert sum(isinstance(message, Warned) for message in sent) == 20
