"""Search with the real model and store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.ingest.chunker import build_chunker
from rag_pipeline.ingest.embed.local_model import LocalEmbedder
from rag_pipeline.ingest.search import floor_of, search
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import ExtractedDocument, Section, SourceFile

pytestmark = pytest.mark.slow

TEXTS = {
    "cats.txt": "Cats sleep most of the day and hunt mice at night.",
    "money.txt": "Revenue rose by twelve percent over the last quarter.",
    "trains.txt": "The railway between both towns was opened in 1880.",
}


class Stored:
    """A store in a folder, with the real model."""

    def __init__(self, folder: Path) -> None:
        self.embedder = LocalEmbedder(threads=1)
        self.chunker = build_chunker(IngestSettings())
        self.store = LanceVectorStore(folder, self.embedder.model_id, self.embedder.dimensions)

    def put(self, name: str, text: str) -> None:
        chunks = self.chunker.chunk(ExtractedDocument((Section(text, "line 1"),), "text/plain"))
        file = SourceFile(name, name, name, "h", len(text), "text/plain", 0.0)
        self.store.replace("p", file, [(chunks, self.embedder.embed([chunk.text for chunk in chunks]))])

    def ask(self, question: str) -> list[str]:
        """Return the names of the files above the floor, best first."""
        return [hit.name for hit in search(self.store, self.embedder, question, floor=floor_of(IngestSettings()))]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    made = Stored(tmp_path)
    for name, text in TEXTS.items():
        made.put(name, text)
    yield made
    made.store.close()
    made.embedder.close()


def test_questions_find_their_file(stored: Stored) -> None:
    for question, name in [("what do felines do?", "cats.txt"), ("income growth", "money.txt"), ("1880", "trains.txt")]:
        assert search(stored.store, stored.embedder, question, 1)[0].file_id == name
    for question in ["", "   ", "the", '"', "revenue " * 3_000]:
        assert len(search(stored.store, stored.embedder, question)) == (3 if question.strip() else 0)


def test_a_question_of_unknown_words_is_near_to_nothing(stored: Stored) -> None:
    stored.put("退货.txt", "退货条件")
    for question in ("退款", "飛行機の予約", "我想知道保险公司的电话", "asdfghjkl"):
        assert stored.ask(question) == []
    assert stored.ask("退货") == ["退货.txt"]


def test_an_acronym_comes_before_the_word_in_small_letters(stored: Stored) -> None:
    stored.put("rain.txt", "It is raining, and it is cold. It has not been so since it was winter.")
    stored.put("laptops.txt", "IT is responsible for laptops and accounts.")
    stored.put("people.txt", "People who live here, and those who work here, need a permit.")
    stored.put("health.txt", "The WHO declared the end of the emergency.")
    assert stored.ask("IT")[0] == "laptops.txt"
    assert stored.ask("WHO")[0] == "health.txt"


def test_a_word_of_every_text_is_found(stored: Stored) -> None:
    stored.put("a.txt", "xylo one")
    stored.put("b.txt", "xylo two")
    assert sorted(stored.ask("xylo")) == ["a.txt", "b.txt"]
