"""Locations of stores: the same tests run for each kind, and other processes can open the same store.

As a program it writes: ``python -m tests.ingest.store.store_locations KIND WHERE NUMBER`` replaces one file repeatedly,
and prints the number of each generation after it was stored.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from rag_pipeline.ingest.postgres_address import parse_address
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import MaintainableStore
from tests.ingest.store.samples import WIDTH, chunks, file, vectors

ROOT = Path(__file__).parents[3]


class StoreLocation(NamedTuple):
    """``lance`` with a folder, or ``postgres`` with an address."""

    kind: str
    where: str

    def open(
        self, model_id: str = "model-a", dimensions: int = WIDTH, *, compact_every: int = 200
    ) -> MaintainableStore:
        """Open the store."""
        if self.kind == "lance":
            return LanceVectorStore(self.where, model_id, dimensions, compact_every=compact_every)
        return PgVectorStore(parse_address("RAG_STORE_URL", self.where), model_id, dimensions)

    def write(self, number: int) -> subprocess.Popen[str]:
        """Start a process that writes to the store, see above."""
        return subprocess.Popen(
            [sys.executable, "-m", __name__, *self, str(number)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )


def generation(number: int) -> list[str]:
    """Return the texts of a generation: none to three."""
    return [f"generation {number} part {i}" for i in range(number % 4)]


if __name__ == "__main__":
    kind, where, start = sys.argv[1:]
    store, current = StoreLocation(kind, where).open(compact_every=7), int(start)
    while True:
        current += 1
        texts = generation(current)
        store.replace("p", file("a", str(current)), [(chunks(*texts), vectors(len(texts)))])
        print(current, flush=True)
