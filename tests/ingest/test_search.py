"""Search with the real model and store."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.chunker import build_chunker
from rag_pipeline.ingest.embed.local_model import LocalEmbedder
from rag_pipeline.ingest.search import search
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import ExtractedDocument, Section, SourceFile

pytestmark = pytest.mark.slow

TEXTS = {
    "cats.txt": "Cats sleep most of the day and hunt mice at night.",
    "money.txt": "Revenue rose by twelve percent over the last quarter.",
    "trains.txt": "The railway between both towns was opened in 1880.",
}


def test_questions_find_their_file(tmp_path: Path) -> None:
    embedder = LocalEmbedder(threads=1)
    chunker = build_chunker(IngestSettings())
    store = LanceVectorStore(tmp_path, embedder.model_id, embedder.dimensions)
    for name, text in TEXTS.items():
        chunks = chunker.chunk(ExtractedDocument((Section(text, "line 1"),), "text/plain"))
        file = SourceFile(name, name, name, "h", len(text), "text/plain", 0.0)
        store.replace("p", file, [(chunks, embedder.embed([chunk.text for chunk in chunks]))])
    for question, name in [("what do felines do?", "cats.txt"), ("income growth", "money.txt"), ("1880", "trains.txt")]:
        assert search(store, embedder, question, 1)[0].file_id == name
    for question in ["", "   ", "x" * 20_000, "the", '"']:
        assert len(search(store, embedder, question)) == (3 if question.strip() else 0)
    store.close()
    embedder.close()
