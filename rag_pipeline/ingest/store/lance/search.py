"""A search in a LanceDB table: the best chunks by words and by meaning, fused by rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rag_pipeline.ingest.store.fusion import fuse
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import FileIndex, TableRow
from rag_pipeline.ingest.types import SearchHit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_QUESTION_CHARACTERS = 2000
_CANDIDATES = 50
_Content = tuple[str, int]  # pipeline_id, generation of the chunks
_Key = tuple[str, str, int]  # pipeline_id, file_id, chunk
_Showing = Callable[[set[_Content]], dict[_Content, list[TableRow]]]


def search(table: Any, showing: _Showing, question: str, vector: Vectors, limit: int) -> list[SearchHit]:
    """Return the best chunks, best first; ``showing`` returns the heads of the files that show some chunks.

    The table and the heads have to stay the same meanwhile: else a file that is replaced may be missing.
    """
    ranked = [_by_words(table, question, limit), _by_meaning(table, vector, limit)]
    contents = {(row["pipeline_id"], row["generation"]) for _, row in (item for items in ranked for item in items)}
    shown = showing(contents)
    found: dict[_Key, tuple[TableRow, TableRow]] = {}
    rankings: list[list[_Key]] = []
    for items in ranked:
        keyed: list[tuple[float, _Key]] = []
        for badness, row in items:
            for head in shown.get((row["pipeline_id"], row["generation"]), ()):
                key = (row["pipeline_id"], head["file_id"], row["chunk"])
                found[key] = (row, head)
                keyed.append((badness, key))
        rankings.append([key for _, key in sorted(keyed)])  # equal scores come in any order from the library
    scores = fuse(rankings)
    best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
    return [_hit(*found[key], scores[key]) for key in best]


def heads_showing(heads: FileIndex, contents: set[_Content]) -> dict[_Content, list[TableRow]]:
    """Return the heads of the files that show each of these chunk sets, without those that no file shows."""
    return {content: found for content in contents if (found := heads.showing(*content))}


def _by_words(table: Any, question: str, limit: int) -> list[tuple[float, TableRow]]:
    # The words alone: as a match query they are no expression, so quotes and operators mean nothing.
    words = question[:_QUESTION_CHARACTERS].encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    if not words.strip():
        return []
    return _ranked(table.search(_match_query(words), query_type="fts"), "_score", limit, sign=-1)


def _by_meaning(table: Any, vector: Vectors, limit: int) -> list[tuple[float, TableRow]]:
    query = table.search(vector, vector_column_name="vector").distance_type("cosine")
    return _ranked(query, "_distance", limit, sign=1)


def _match_query(words: str) -> Any:
    from lancedb import query

    make: Any = query.MatchQuery  # its stub asks for the arguments that have defaults
    return make(words, "text")


def _ranked(query: Any, score: str, limit: int, *, sign: int) -> list[tuple[float, TableRow]]:
    """Return rows, each with a number that is lower the better it matches."""
    columns = ["pipeline_id", "generation", "chunk", "place", "text", score]
    found: list[TableRow] = (
        query.where("chunk >= 0", prefilter=True)
        .select(columns)
        .limit(max(_CANDIDATES, 4 * limit))
        .to_arrow()
        .to_pylist()
    )
    return [(sign * row[score], row) for row in found]


def _hit(row: TableRow, head: TableRow, score: float) -> SearchHit:
    file = rows.source_file(head)
    return SearchHit(
        text=row["text"], file_id=file.file_id, name=file.name, uri=file.uri, place=row["place"], score=score
    )
