"""Chunks are within the limit, complete and in order, for any text."""

from __future__ import annotations

import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rag_pipeline.ingest.chunker import BLOCK, Chunker, build_chunker
from rag_pipeline.ingest.embed.model_files import find_model, read_tokenizer
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.span_tokenizers import EstimatedSpanTokenizer, ModelSpanTokenizer
from rag_pipeline.ingest.types import Chunk, ExtractedDocument, Section, Stopped

TOKENIZER: Tokenizer = read_tokenizer(find_model())
MODEL = Chunker(ModelSpanTokenizer(TOKENIZER), 254)
PROSE = "Retrieval splits documents into chunks. It embeds each of them! A question finds the nearest.\n"


def document(*texts: str, locator: str = "") -> ExtractedDocument:
    return ExtractedDocument(tuple(Section(text, locator) for text in texts), "text/plain")


def tokens(text: str) -> int:
    return len(TOKENIZER.encode(text, add_special_tokens=False).ids)


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.slow
@pytest.mark.parametrize("size", [128, 254])
def test_prose_is_complete_in_chunks_within_the_limit(size: int) -> None:
    text = (PROSE * 7 + "\n") * 200
    chunks = Chunker(ModelSpanTokenizer(TOKENIZER), size).chunk(document(text))
    assert squeezed("".join(chunk.text for chunk in chunks)) == squeezed(text)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert max(tokens(chunk.text) for chunk in chunks) <= size
    assert all(chunk.text.endswith((".", "!")) for chunk in chunks), "a chunk ends where a sentence does"


def test_a_short_document_is_one_chunk() -> None:
    assert MODEL.chunk(document("  Hello there.\n")) == [Chunk("Hello there.", "", 0)]


def test_chunks_end_between_paragraphs_if_possible() -> None:
    paragraph = (PROSE * 10).replace("\n", " ").strip()
    chunks = MODEL.chunk(document("\n\n".join([paragraph] * 5)))
    assert [chunk.text for chunk in chunks] == [paragraph] * 5


def test_each_chunk_has_the_locator_of_its_section() -> None:
    pages = ExtractedDocument(
        tuple(Section(f"This is page {i}. " * 60, f"page {i}") for i in range(1, 6)), "application/pdf"
    )
    chunks = MODEL.chunk(pages)
    assert {chunk.locator for chunk in chunks} == {f"page {i}" for i in range(1, 6)}
    assert all(chunk.locator.removeprefix("page ") in chunk.text for chunk in chunks)


def test_adjacent_sections_with_one_locator_are_joined() -> None:
    chunks = MODEL.chunk(document("One.", "Two.", "Three.", locator="sheet A"))
    assert chunks == [Chunk("One.\n\nTwo.\n\nThree.", "sheet A", 0, headings="A")]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", " \n\t ", "\0" * 5000, "!?.," * 5000, "-- -- --"])
def test_text_without_letters_or_digits_makes_no_chunk(text: str) -> None:
    assert MODEL.chunk(document(text)) == []
    assert MODEL.chunk(document(text, "word", text))[0].text.strip() != ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "QmFzZTY0+/" * 20_000,
        "한국어문장입니다" * 5000,
        "東京は日本の首都です。" * 5000,
        "e\u0301\u0301" * 20_000,
        "antidis-" * 20_000,
        "🎉a" * 20_000,
        "x\0" * 50_000,
    ],
    ids=["letter", "base64", "hangul", "japanese", "combining", "hyphens", "emoji", "null"],
)
def test_pathological_lines_are_complete_and_within_the_limit(text: str) -> None:
    chunks = MODEL.chunk(document(text))
    assert squeezed("".join(chunk.text for chunk in chunks)) == squeezed(text)
    assert max(tokens(chunk.text) for chunk in chunks) <= 254
    assert max(len(chunk.text) for chunk in chunks) <= BLOCK


@pytest.mark.parametrize("mark", [",", "+", "_", "/", "、", "»"])
def test_a_line_without_spaces_is_split_at_punctuation(mark: str) -> None:
    """Paths, keys and tables pasted from a program can be cut at punctuation."""
    words = [f"{name}{number}" for number in range(400) for name in ("incomprehensibility", "zeitgeist", "q")]
    chunks = MODEL.chunk(document(mark.join(words)))
    assert len(chunks) > 10
    assert [word for chunk in chunks for word in chunk.text.split(mark) if word] == words


def test_a_lone_surrogate_is_replaced() -> None:
    assert MODEL.chunk(document("caf\udce9 is open"))[0].text == "caf? is open"


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.integers(1, 200)), max_size=8))
@example([("000", 1), ("0A\u3400", 26), ("DY¢", 25), ("02:0::0A", 16)])  # the rest of a split word has more tokens
@example([("000", 1), ("0A\u3400", 38), ("DY¢\x1c", 33), ("0:", 55)])  # a control character does not end a word
def test_chunks_of_any_text_are_limited_ordered_and_complete(parts: list[tuple[str, int]]) -> None:
    text = "".join(part * times for part, times in parts)
    chunks = Chunker(ModelSpanTokenizer(TOKENIZER), 128).chunk(document(text))
    at = 0
    clean = text.encode("utf-8", "replace").decode("utf-8")
    for chunk in chunks:
        assert chunk.text == chunk.text.strip() != ""
        assert tokens(chunk.text) <= 128
        start = clean.find(chunk.text, at)
        assert start >= 0
        between = clean[at:start]
        assert not any(c.isalnum() for c in between), "what stands between chunks has no word"
        at = start + len(chunk.text)
    assert not any(c.isalnum() for c in clean[at:])


def test_progress_rises_to_one() -> None:
    fractions: list[float] = []
    MODEL.chunk(document(PROSE * 3000, "", PROSE), on_progress=fractions.append)
    assert fractions == sorted(fractions)
    assert len(fractions) > 5
    assert fractions[-1] == 1


def test_progress_and_the_stop_event_stop_the_work() -> None:
    def stop(fraction: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        MODEL.chunk(document(PROSE * 3000), on_progress=stop)
    event = threading.Event()
    chunker = Chunker(EstimatedSpanTokenizer(), 128, stop=event)
    with pytest.raises(Stopped):
        chunker.chunk(document(PROSE * 3000), on_progress=lambda _: event.set())


def test_chunking_for_an_endpoint_needs_no_model() -> None:
    chunker = build_chunker(IngestSettings(embedding_api_url="http://localhost:1/v1", embedding_api_model="m"))
    chunks = chunker.chunk(document(PROSE * 100))
    assert squeezed("".join(chunk.text for chunk in chunks)) == squeezed(PROSE * 100)


def test_a_token_limit_below_128_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 128"):
        Chunker(EstimatedSpanTokenizer(), 20)
