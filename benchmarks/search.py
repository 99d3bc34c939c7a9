"""Measure how well the search ranks: nDCG@10 on the Cranfield collection, beside BM25 alone.

The collection is not part of this repository. Give a folder with ``cran.all.1400``, ``cran.qry`` and ``cranqrel``::

    python -m benchmarks.search FOLDER [--tune]

Each abstract is chunked, embedded and stored as a pipeline does it, with its title as the document's title, in the
folder's store. Relevance codes 1 (a complete answer) to 4 give gains of 4 to 1. bm25s, with Snowball's English stemmer
and English stop words, ranks title and abstract together. ``--tune`` compares
weights: choose on the even queries, and judge by the odd ones.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rag_pipeline.ingest.chunker import build_chunker
from rag_pipeline.ingest.embed.factory import build_embedder
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store import fusion
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Embedder, ExtractedDocument, SearchHit, Section, SourceFile

DEPTH = 10
_SEARCHED = 60
_VECTOR_WEIGHTS = (0.5, 0.6, 0.7)
_FEEDBACK_WEIGHTS = (0.0, 0.2, 0.3, 0.4)
_FIELD = re.compile(r"\.(I \d+|[TABW])\s*$")

Ranking = Callable[[int], Sequence[int]]
"""Returns the numbers of the documents, best first, for the index of a query."""


class Collection(NamedTuple):
    """Documents as title and text by number, questions, and the gain of documents for each question."""

    documents: Mapping[int, tuple[str, str]]
    questions: Sequence[str]
    gains: Sequence[Mapping[int, int]]


def read_collection(folder: Path) -> Collection:
    """Read the three files of the collection."""
    documents = {
        number: (_one_line(fields["T"]), fields["W"].strip()) for number, fields in _records(folder / "cran.all.1400")
    }
    questions = [_one_line(fields["W"]) for _, fields in _records(folder / "cran.qry")]
    # The judgements count the queries from 1, whatever their numbers are.
    gains: list[dict[int, int]] = [{} for _ in questions]
    for line in (folder / "cranqrel").read_text(encoding="ascii").splitlines():
        query, document, code = (int(part) for part in line.split()[:3])
        gains[query - 1][document] = max(0, 5 - code) if code > 0 else 0
    return Collection(documents, questions, gains)


def _records(path: Path) -> list[tuple[int, dict[str, str]]]:
    records: list[tuple[int, dict[str, str]]] = []
    field = ""
    for line in path.read_text(encoding="latin-1").splitlines():
        if (match := _FIELD.match(line)) is None:
            records[-1][1][field] += line + "\n"
        elif match[1].startswith("I"):
            records.append((int(match[1][2:]), defaultdict(str)))
        else:
            field = match[1]
    return records


def _one_line(text: str) -> str:
    return " ".join(text.split())


def ndcg(ranking: Sequence[int], gains: Mapping[int, int]) -> float:
    """Return the normalized discounted cumulative gain of the first ten documents."""
    found = sum(gains.get(number, 0) / math.log2(rank + 2) for rank, number in enumerate(ranking[:DEPTH]))
    best = sorted(gains.values(), reverse=True)[:DEPTH]
    ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(best))
    return found / ideal if ideal else 0.0


class Measured(NamedTuple):
    """Mean nDCG@10 of all questions, of the even and the odd ones, and of all with the same gain for every code."""

    all: float
    even: float
    odd: float
    binary: float


def measure(collection: Collection, ranking: Ranking) -> Measured:
    """Rank the documents for every question."""
    graded: list[float] = []
    binary: list[float] = []
    for index, gains in enumerate(collection.gains):
        order = ranking(index)
        graded.append(ndcg(order, gains))
        binary.append(ndcg(order, {number: 1 for number, gain in gains.items() if gain}))
    mean = statistics.mean
    return Measured(mean(graded), mean(graded[::2]), mean(graded[1::2]), mean(binary))


def fill(store: LanceVectorStore, embedder: Embedder, collection: Collection, settings: IngestSettings) -> None:
    """Chunk, embed and store the documents."""
    chunker = build_chunker(settings)
    for number, (title, text) in collection.documents.items():
        sections = (Section(text or title, ""),)
        chunks = chunker.chunk(ExtractedDocument(sections, "text/plain", metadata={"title": title}))
        if chunks:
            file = SourceFile(str(number), "abstract", "", "h", len(text), "text/plain", 0.0)
            vectors = embedder.embed([chunk.embedded_text for chunk in chunks])
            store.replace("cranfield", file, [(chunks, vectors)])
    store.compact()


def bm25s_ranking(collection: Collection) -> Ranking:
    """Return the ranking of bm25s, stemmed."""
    import bm25s  # type: ignore[import-not-found, import-untyped, unused-ignore]
    from Stemmer import Stemmer

    def terms(texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer("english"), show_progress=False)

    numbers = list(collection.documents)
    index = bm25s.BM25()
    index.index(terms([f"{title}\n{text}" for title, text in collection.documents.values()]), show_progress=False)
    found, _ = index.retrieve(terms(list(collection.questions)), k=DEPTH, show_progress=False)
    return lambda question: [numbers[position] for position in found[question]]


class StoreSearch:
    """Ranks the documents by the search of the store; keeps nothing between questions but their vectors."""

    def __init__(self, store: LanceVectorStore, embedder: Embedder, collection: Collection) -> None:
        self._store = store
        self._questions = collection.questions
        self._vectors = embedder.embed(list(collection.questions))

    def hybrid(self, question: int) -> list[int]:
        """Rank by words and by vector."""
        return _numbers(self._hits(question))

    def by_words(self, question: int) -> list[int]:
        """Rank by words alone."""
        return _numbers(sorted(self._hits(question), key=lambda hit: -hit.words))

    def by_vector(self, question: int) -> list[int]:
        """Rank by vector alone."""
        return _numbers(sorted(self._hits(question), key=lambda hit: -hit.vector))

    def _hits(self, question: int) -> list[SearchHit]:
        return self._store.search(self._questions[question], self._vectors[question], limit=_SEARCHED)


def _numbers(hits: Sequence[SearchHit]) -> list[int]:
    """Return the documents in the order of their best chunks."""
    return list(dict.fromkeys(int(hit.file_id) for hit in hits))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds cran.all.1400, cran.qry and cranqrel")
    parser.add_argument("--tune", action="store_true", help="compare weights")
    args = parser.parse_args()
    collection, settings = read_collection(args.folder), IngestSettings.from_env()
    embedder = build_embedder(settings)
    with tempfile.TemporaryDirectory() as folder:
        store = LanceVectorStore(folder, embedder.model_id, embedder.dimensions)
        fill(store, embedder, collection, settings)
        search = StoreSearch(store, embedder, collection)
        rankings: dict[str, Ranking] = {
            "bm25s, stemmed": bm25s_ranking(collection),
            "words": search.by_words,
            "vector": search.by_vector,
            "words and vector": search.hybrid,
        }
        print("| nDCG@10 | all | even | odd | binary |\n|---|---|---|---|---|")
        for name, ranking in rankings.items():
            _print(name, measure(collection, ranking))
        if args.tune:
            tune(collection, search)
        store.close()
    embedder.close()


def tune(collection: Collection, search: StoreSearch) -> None:
    """Print the figures of each weight; the best ones on the even queries are to be judged by the odd ones."""
    shipped = fusion.VECTOR_WEIGHT, fusion.FEEDBACK_WEIGHT
    for weights in itertools.product(_VECTOR_WEIGHTS, _FEEDBACK_WEIGHTS):
        fusion.VECTOR_WEIGHT, fusion.FEEDBACK_WEIGHT = weights
        _print("vector {:g}, feedback {:g}".format(*weights), measure(collection, search.hybrid))
    fusion.VECTOR_WEIGHT, fusion.FEEDBACK_WEIGHT = shipped


def _print(name: str, measured: Measured) -> None:
    print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in measured) + " |", flush=True)


if __name__ == "__main__":
    main()
