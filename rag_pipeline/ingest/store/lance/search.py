"""Searches a LanceDB table: the best chunks by words and by vector, fused by rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rag_pipeline.ingest.store.fusion import ChunkKey, fuse
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import ContentKey, TableRow
from rag_pipeline.ingest.types import SearchHit

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

_QUESTION_CHARACTERS = 2000
_CANDIDATES = 50
FilesWith = Callable[[set[ContentKey]], dict[ContentKey, list[TableRow]]]


def search(table: Any, files_with: FilesWith, question: str, vector: Vectors, limit: int) -> list[SearchHit]:
    """Return the best chunks, best first; ``files_with`` returns the file rows that have a content.

    The table and the file rows must be of the same version: otherwise a file that is being replaced may be missing.
    """
    results = [_by_words(table, question, limit), _by_vector(table, vector, limit)]
    files = files_with({_content(row) for result in results for _, row in result})
    hits: dict[ChunkKey, tuple[TableRow, TableRow]] = {}
    rankings: list[list[ChunkKey]] = []
    for result in results:
        keyed: list[tuple[float, ChunkKey]] = []
        for distance, row in result:
            for file_row in files.get(_content(row), ()):
                key = (row["pipeline_id"], file_row["file_id"], row["chunk"])
                hits[key] = (row, file_row)
                keyed.append((distance, key))
        rankings.append([key for _, key in sorted(keyed)])  # LanceDB returns equal scores in any order
    scores = fuse(rankings)
    best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
    return [_hit(*hits[key], scores[key]) for key in best]


def _content(chunk_row: TableRow) -> ContentKey:
    return chunk_row["pipeline_id"], chunk_row["generation"]


def _by_words(table: Any, question: str, limit: int) -> list[tuple[float, TableRow]]:
    # A match query is not an expression, so quotes and operators have no meaning.
    words = question[:_QUESTION_CHARACTERS].encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    if not words.strip():
        return []
    return _ranked(table.search(_match_query(words), query_type="fts"), "_score", limit, sign=-1)


def _by_vector(table: Any, vector: Vectors, limit: int) -> list[tuple[float, TableRow]]:
    query = table.search(vector, vector_column_name="vector").distance_type("cosine")
    return _ranked(query, "_distance", limit, sign=1)


def _match_query(words: str) -> Any:
    from lancedb import query

    make_query: Any = query.MatchQuery  # its stub requires even the arguments that have defaults
    return make_query(words, "text")


def _ranked(query: Any, score: str, limit: int, *, sign: int) -> list[tuple[float, TableRow]]:
    """Return rows, each with a distance: the lower, the better the match."""
    columns = ["pipeline_id", "generation", "chunk", "place", "text", score]
    found: list[TableRow] = (
        query.where("chunk >= 0", prefilter=True)
        .select(columns)
        .limit(max(_CANDIDATES, 4 * limit))
        .to_arrow()
        .to_pylist()
    )
    return [(sign * row[score], row) for row in found]


def _hit(row: TableRow, file_row: TableRow, score: float) -> SearchHit:
    file = rows.source_file(file_row)
    return SearchHit(
        text=row["text"], file_id=file.file_id, name=file.name, uri=file.uri, place=row["place"], score=score
    )
