"""The documents are distinguishable, and their links lead nowhere."""

from __future__ import annotations

import random
from itertools import islice

from rag_pipeline.cli.demo.documents import document, documents


def test_names_and_ids_are_unique() -> None:
    found = list(islice(documents(random.Random(1)), 500))
    assert len({file.name for file in found}) == len({file.id for file in found}) == 500
    assert len({file.mime_type for file in found}) > 3
    assert all(file.size > 0 for file in found)


def test_links_use_a_reserved_host() -> None:
    file = document(random.Random(1), "a.pdf", "application/pdf", 3)
    assert 3 * 1024 <= file.size < 4 * 1024
    assert file.link == f"https://drive.example.com/file/{file.id}"
