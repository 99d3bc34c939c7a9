"""Write the documents beside this file: ``python -m rag_pipeline.contract.generate``, or ``scripts/contract``."""

from __future__ import annotations

import json
from pathlib import Path

from rag_pipeline.contract import DOCUMENTS
from rag_pipeline.contract.asyncapi import asyncapi
from rag_pipeline.contract.openapi import openapi

_GENERATORS = {"asyncapi.json": asyncapi, "openapi.json": openapi}


def generate(name: str) -> bytes:
    """Return the content of a document."""
    return json.dumps(_GENERATORS[name](), ensure_ascii=False, indent=2).encode() + b"\n"


def write(folder: Path) -> None:
    """Write all documents into the folder."""
    for name in DOCUMENTS:
        (folder / name).write_bytes(generate(name))


if __name__ == "__main__":
    write(Path(__file__).parent)
