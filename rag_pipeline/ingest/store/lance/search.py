"""Searches a LanceDB table: the best chunks by words, by file name and by vector, fused by rank."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_pipeline.ingest.store.escaping import escape, unescape
from rag_pipeline.ingest.store.filters import file_test
from rag_pipeline.ingest.store.fusion import CANDIDATES, FORM_WEIGHT, ChunkKey, Ranked, add_names, rank
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import ContentKey, TableRow, content_key
from rag_pipeline.ingest.terms.analyzer import QueryTerms
from rag_pipeline.ingest.types import SearchFilter, SearchFloor, SearchHit

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

_CHUNKS = "chunk >= 0"
_FILES = f"chunk = {rows.FILE_ROW}"
_COLUMNS = ("pipeline_id", "generation", "chunk", "place", "text", "vector")
_INVERTED = 2


class StoredFiles(NamedTuple):
    """The files of the version that is searched.

    with_content: returns the file rows that have each content.
    all: returns all file rows.
    """

    with_content: Callable[[Iterable[ContentKey]], dict[ContentKey, list[TableRow]]]
    all: Callable[[], Collection[TableRow]]


class Question(NamedTuple):
    """What is searched: terms and vector, in some files, down to the lowest scores."""

    terms: QueryTerms
    vector: Vectors
    limit: int
    only: SearchFilter
    floor: SearchFloor


def search(table: Any, files: StoredFiles, question: Question) -> list[SearchHit]:
    """Return the best chunks, best first.

    The table and the file rows must be of the same version: otherwise a file that is being replaced may be missing.
    """
    scope = _Scope(files, question.only)
    if scope.is_empty:
        return []
    candidates = _Candidates(table, scope, question)
    word_scores = candidates.scored(candidates.by_words(_CHUNKS, most=candidates.most))
    candidates.add_vectors()
    names = candidates.name_scores()
    word_scores |= candidates.word_scores_beside(word_scores)
    totals = add_names(word_scores, names, candidates.keys())
    ranked = rank(totals, candidates.cosines(), candidates.likeness, question.floor, question.limit)
    return [candidates.hit(result) for result in ranked]


class _Scope:
    """The files that a search may return, and the condition that selects their rows."""

    def __init__(self, files: StoredFiles, only: SearchFilter) -> None:
        self._files = files
        self._pipelines = None if only.pipelines is None else {escape(name) for name in only.pipelines}
        self._test = file_test(only)
        self.condition = ""
        self.is_empty = self._pipelines is not None and not self._pipelines
        if self._pipelines:
            names = ", ".join(rows.quote(name) for name in sorted(self._pipelines))
            self.condition = f" AND pipeline_id IN ({names})"
        if self._test is not None and not self.is_empty:
            self._select_files()

    def _select_files(self) -> None:
        numbers: dict[bool, set[int]] = {True: set(), False: set()}
        for row in self._files.all():
            numbers[self.allows(row)] |= {row["generation"], content_key(row)[1]}
        self.is_empty = not numbers[True]
        # The shorter list; a content that files of both kinds share must not be excluded.
        excluded = numbers[False] - numbers[True]
        invert = len(excluded) * _INVERTED < len(numbers[True])
        if not invert:
            self.condition += f" AND generation IN ({rows.number_list(sorted(numbers[True]))})"
        elif excluded:
            self.condition += f" AND generation NOT IN ({rows.number_list(sorted(excluded))})"

    def allows(self, file_row: TableRow) -> bool:
        """Return whether the file may be returned."""
        if self._pipelines is not None and file_row["pipeline_id"] not in self._pipelines:
            return False
        return self._test is None or self._test(rows.source_file(file_row))

    def all_files(self) -> Collection[TableRow]:
        """Return all file rows."""
        return self._files.all()

    def files_with(self, contents: Iterable[ContentKey]) -> dict[ContentKey, list[TableRow]]:
        """Return the allowed file rows that have each content."""
        found = self._files.with_content(contents)
        return {content: [row for row in file_rows if self.allows(row)] for content, file_rows in found.items()}


class _Candidates:
    """The chunks that a search considers, with the file of each."""

    def __init__(self, table: Any, scope: _Scope, question: Question) -> None:
        self._table = table
        self._scope = scope
        self._question = question
        self._rows: dict[ChunkKey, tuple[TableRow, TableRow]] = {}  # chunk row and file row
        self.most = max(CANDIDATES, 4 * question.limit)

    def by_words(self, condition: str, *, most: int) -> list[TableRow]:
        """Return the best rows by words, each with its ``_score``."""
        terms = self._question.terms
        if not terms.words or rows.TERMS not in self._table.schema.names:
            return []
        query = self._table.search(_match_query(terms), query_type="fts")
        return self._run(query, condition, [*_COLUMNS, "_score"], most)

    def scored(self, found: list[TableRow]) -> dict[ChunkKey, float]:
        """Add chunk rows for each file that has them; return their scores by words."""
        return {key: row["_score"] for row, key in self._add(found)}

    def add_vectors(self) -> None:
        """Add the nearest chunks; none for a zero vector, which is near to nothing."""
        if not self._question.vector.any():
            return
        query = self._table.search(self._question.vector, vector_column_name="vector").distance_type("cosine")
        self._add(self._run(query, _CHUNKS, [*_COLUMNS, "_distance"], self.most))

    def name_scores(self) -> dict[tuple[str, str], float]:
        """Return the scores of the files with the best names; add the first chunk of those that have no candidate."""
        found = self.by_words(_FILES, most=CANDIDATES)
        scores: dict[tuple[str, str], float] = {}
        contents: set[ContentKey] = set()
        by_row = {(row["pipeline_id"], row["generation"]): row["_score"] for row in found}
        for row in self._scope_rows(by_row):
            scores[row["pipeline_id"], row["file_id"]] = by_row[row["pipeline_id"], row["generation"]]
            contents.add(content_key(row))
        missing = contents - {(row["pipeline_id"], row["generation"]) for row, _ in self._rows.values()}
        if missing:
            numbers = rows.number_list(sorted(number for _, number in missing))
            query = self._table.search().where(f"chunk = 0 AND generation IN ({numbers})")
            self._add(query.select(list(_COLUMNS)).limit(len(missing)).to_arrow().to_pylist())
        has_chunks = {key[:2] for key in self._rows}
        return {file: score for file, score in scores.items() if file in has_chunks}

    def _scope_rows(self, wanted: Collection[tuple[str, int]]) -> list[TableRow]:
        """Return the allowed current file rows with these generations."""
        if not wanted:
            return []
        found = (row for row in self._scope.all_files() if (row["pipeline_id"], row["generation"]) in wanted)
        return [row for row in found if self._scope.allows(row)]

    def keys(self) -> list[ChunkKey]:
        """Return all candidates."""
        return list(self._rows)

    def cosines(self) -> dict[ChunkKey, float]:
        """Return the cosine of each candidate with the question."""
        return self._cosines_with(self._question.vector)

    def likeness(self, best: Sequence[ChunkKey]) -> dict[ChunkKey, float]:
        """Return the cosine of each candidate with the mean vector of some of them."""
        import numpy as np

        return self._cosines_with(np.mean([self._rows[key][0]["vector"] for key in best], axis=0, dtype=np.float32))

    def _cosines_with(self, vector: Vectors) -> dict[ChunkKey, float]:
        import numpy as np

        if not self._rows:
            return {}
        matrix = np.array([row["vector"] for row, _ in self._rows.values()], np.float32)
        lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines = np.nan_to_num(matrix @ vector / lengths, nan=0.0, posinf=0.0, neginf=0.0)
        return dict(zip(self._rows, np.clip(cosines, -1.0, 1.0).tolist(), strict=True))

    def word_scores_beside(self, known: Collection[ChunkKey]) -> dict[ChunkKey, float]:
        """Return the scores by words of the other candidates that have some."""
        missing = [key for key in self._rows if key not in known]
        if not missing:
            return {}
        numbers = {self._rows[key][0]["generation"] for key in missing}
        chunks = {key[2] for key in missing}
        condition = (
            f"generation IN ({rows.number_list(sorted(numbers))}) AND chunk IN ({rows.number_list(sorted(chunks))})"
        )
        found = {
            (row["pipeline_id"], row["generation"], row["chunk"]): row["_score"]
            for row in self.by_words(condition, most=len(numbers) * len(chunks))
        }
        return {key: found[row_key] for key in missing if (row_key := self._row_key(key)) in found}

    def _row_key(self, key: ChunkKey) -> tuple[str, int, int]:
        row = self._rows[key][0]
        return row["pipeline_id"], row["generation"], row["chunk"]

    def hit(self, result: Ranked) -> SearchHit:
        """Return a result as it is shown."""
        row, file_row = self._rows[result.key]
        file = rows.source_file(file_row)
        return SearchHit(
            text=row["text"],
            file_id=file.file_id,
            name=file.name,
            uri=file.uri,
            place=row["place"],
            score=result.score,
            words=result.words,
            vector=result.vector,
            pipeline_id=unescape(row["pipeline_id"]),
            mime_type=file.mime_type,
        )

    def _add(self, found: list[TableRow]) -> list[tuple[TableRow, ChunkKey]]:
        files = self._scope.files_with({_content(row) for row in found})
        keyed: list[tuple[TableRow, ChunkKey]] = []
        for row in found:
            for file_row in files.get(_content(row), ()):
                key = (row["pipeline_id"], file_row["file_id"], row["chunk"])
                self._rows[key] = (row, file_row)
                keyed.append((row, key))
        return keyed

    def _run(self, query: Any, condition: str, columns: list[str], most: int) -> list[TableRow]:
        found: list[TableRow] = (
            query.where(condition + self._scope.condition, prefilter=True)
            .select(columns)
            .limit(most)
            .to_arrow()
            .to_pylist()
        )
        return found


def _content(chunk_row: TableRow) -> ContentKey:
    return chunk_row["pipeline_id"], chunk_row["generation"]


def _match_query(terms: QueryTerms) -> Any:
    from lancedb import query

    # A match query is not an expression, so quotes and operators have no meaning.
    make_query: Any = query.MatchQuery  # its stub requires even the arguments that have defaults
    words = make_query(" ".join(terms.words), rows.TERMS)
    if not terms.forms:
        return words
    forms = make_query(" ".join(terms.forms), rows.TERMS, boost=FORM_WEIGHT)
    return query.BooleanQuery([(query.Occur.SHOULD, words), (query.Occur.SHOULD, forms)])
