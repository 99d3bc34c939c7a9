"""Sections: their locators, their size, and clean text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ExtractionLimitError, UnreadableTextError
from rag_pipeline.ingest.extract.messages import PagesRead, Progressed, SectionFound, Warned, WorkerMessage
from rag_pipeline.ingest.extract.section_writer import SECTION_CHARACTERS, SectionWriter
from rag_pipeline.ingest.types import TextQuality


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


def test_the_text_is_limited() -> None:
    writer, sent = make(text_bytes=10)
    writer.write("ééééé")
    writer.flush()
    writer.write("x")
    with pytest.raises(ExtractionLimitError, match="more than 10 bytes"):
        writer.flush()
    assert sent == [SectionFound("", "ééééé")]


def test_progress_only_rises() -> None:
    writer, sent = make()
    for fraction in (0.2, 0.1, 0.2, 5.0):
        writer.progress(fraction)
    assert sent[0] == Progressed(0.2)


def test_equal_warnings_are_summed_up_and_their_kinds_are_limited() -> None:
    writer, sent = make()
    writer.warn("missing_part", "a slide is missing", 2)
    writer.warn("missing_part", "a slide is missing")
    for number in range(100):
        writer.warn("unreadable_page", f"page {number} is left out")
    writer.finish()
    last = {(m.type, m.message): m.count for m in sent if isinstance(m, Warned)}
    assert last["missing_part", "a slide is missing"] == 3
    assert len(last) == 20


def test_pages_without_text_are_counted() -> None:
    writer, sent = make()
    for number, text in enumerate(("", "words", " \n", ""), start=1):
        writer.page(f"page {number}")
        writer.write(text)
    writer.finish()
    assert writer.quality == TextQuality(characters=5, pages=4, pages_without_text=3)
    assert sent[-1] == Warned("pages_without_text", "3 of 4 pages have no text (scanned?)", 3)


def test_a_few_odd_characters_are_a_warning_and_many_an_error() -> None:
    writer, sent = make()
    writer.write("a" * 99 + "\ue123")
    writer.finish()
    assert sent[-1] == Warned("odd_characters", "some characters could not be decoded", 1)
    assert writer.quality.odd_characters == 0.01
    writer.write("\ufffd" * 50)
    with pytest.raises(UnreadableTextError, match="34% of its characters"):
        writer.finish()


def test_metadata_are_bounded() -> None:
    writer, _ = make()
    for number in range(100):
        writer.describe(f"key {number}", "x" * 10_000)
    writer.describe("key 1", " Title\x00 ")
    writer.describe("key 2", " ")
    assert len(writer.metadata) == 50
    assert writer.metadata["key 1"] == "Title"
    assert len(writer.metadata["key 2"]) == 500


def test_headings_go_on_over_pages() -> None:
    writer, sent = make()
    writer.page("page 1", of=2)
    writer.heading(1, "Leave")
    writer.write("27 days")
    writer.page("page 2", of=2)
    writer.write("more")
    writer.finish()
    sections = [message for message in sent if isinstance(message, SectionFound)]
    assert sections == [SectionFound("page 1 › Leave", "Leave\n27 days"), SectionFound("page 2 › Leave", "more")]
    assert [message for message in sent if isinstance(message, PagesRead)] == [PagesRead(1, 2, 0), PagesRead(2, 2, 0)]


def test_letters_without_a_unicode_map_are_a_warning_of_their_own() -> None:
    writer, sent = make()
    writer.write("a" * 95 + "\ufffd" * 5)
    writer.undecoded(5)
    writer.finish()
    assert sent[-1] == Warned("letters_not_decoded", "letters could not be decoded (font without Unicode map)", 5)
    assert len([message for message in sent if isinstance(message, Warned)]) == 1


def test_text_that_was_left_out_counts_as_odd() -> None:
    writer, _ = make()
    writer.write("a" * 100)
    writer.undecoded(50, unwritten=50)
    with pytest.raises(UnreadableTextError, match="33%"):
        writer.finish()
