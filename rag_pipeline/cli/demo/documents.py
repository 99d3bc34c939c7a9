"""Invented documents for the script, with the names, types and sizes of a team's drive."""

from __future__ import annotations

import random
from collections.abc import Iterator

from rag_pipeline.cli.demo.steps import DemoDocument

_SUBJECTS = (
    "Employee handbook",
    "Quarterly report",
    "Security policy",
    "Release notes",
    "Customer interview",
    "Incident review",
    "Onboarding guide",
    "Price list",
    "Research summary",
    "Übersicht Verträge",
    "API reference",
    "Travel expenses",
    "Board minutes",
    "Architecture decision",
)

# Suffix, MIME type, smallest and largest size in KiB.
_KINDS = (
    (".pdf", "application/pdf", 200, 9000),
    (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", 30, 900),
    (".md", "text/markdown", 2, 60),
    (".html", "text/html", 8, 240),
    (".txt", "text/plain", 1, 80),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 20, 1500),
)


def documents(rng: random.Random) -> Iterator[DemoDocument]:
    """Yield an endless series of documents with unique names and ids."""
    number = 0
    while True:
        number += 1
        suffix, mime_type, low, high = rng.choice(_KINDS)
        yield document(rng, f"{rng.choice(_SUBJECTS)} {number:02}{suffix}", mime_type, rng.randint(low, high))


def document(rng: random.Random, name: str, mime_type: str, size_kib: int) -> DemoDocument:
    """Return a document with a random id; its link leads nowhere."""
    file_id = f"{rng.getrandbits(64):016x}"
    size = size_kib * 1024 + rng.randrange(1024)
    return DemoDocument(name, file_id, size, mime_type, f"https://drive.example.com/file/{file_id}")
