"""The made-up documents tell apart, and lead nowhere."""

from __future__ import annotations

import random
from itertools import islice

from rag_pipeline.cli.demo.documents import document, documents


def test_names_and_ids_tell_documents_apart() -> None:
    found = list(islice(documents(random.Random(1)), 500))
    assert len({file.name for file in found}) == len({file.id for file in found}) == 500
    assert len({file.mime_type for file in found}) > 3
    assert all(file.size > 0 for file in found)


def test_the_link_is_to_a_host_that_is_reserved_for_examples() -> None:
    file = document(random.Random(1), "a.pdf", "application/pdf", 3)
    assert 3 * 1024 <= file.size < 4 * 1024
    assert file.link == f"https://drive.example.com/file/{file.id}"
