"""Filters of files, in Python; tests of the stores compare them with SQL."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract import file_type
from rag_pipeline.ingest.store.filters import as_like, file_test
from rag_pipeline.ingest.types import SearchFilter, SourceFile
from tests.support.linear_time import assert_linear

FILE = SourceFile("reports/2024/Budget.PDF", "Budget.PDF", "file:///x", "h", 1, "Application/PDF", 0.0)


@pytest.mark.parametrize(
    "only",
    [
        SearchFilter(path="reports"),
        SearchFilter(path="reports/2024/"),
        SearchFilter(path="reports/*"),
        SearchFilter(path="*/2024/*"),
        SearchFilter(path="Budget.PDF"),
        SearchFilter(path="B?dget.*"),
        SearchFilter(type="pdf"),
        SearchFilter(type=".PDF"),
        SearchFilter(type="application/pdf"),
        SearchFilter(type="application/*"),
        SearchFilter(path="reports", type="pdf"),
        SearchFilter(path="Bud*"),
    ],
)
def test_a_file_passes(only: SearchFilter) -> None:
    test = file_test(only)
    assert test is not None
    assert test(FILE)


@pytest.mark.parametrize(
    "only",
    [
        SearchFilter(path="report"),
        SearchFilter(path="2024"),
        SearchFilter(path="reports/?"),
        SearchFilter(path="budget*"),
        SearchFilter(path="reports%"),
        SearchFilter(path="a*b"),
        SearchFilter(type="df"),
        SearchFilter(type="text/*"),
        SearchFilter(path="reports", type="docx"),
    ],
)
def test_a_file_does_not_pass(only: SearchFilter) -> None:
    test = file_test(only)
    assert test is not None
    assert not test(FILE)


@pytest.mark.parametrize("kind", ["markdown", "md", "Markdown", "text/markdown"])
def test_a_kind_stands_for_its_types(kind: str) -> None:
    test = file_test(SearchFilter(type=kind))
    assert test is not None
    assert test(SourceFile("a.md", "a.md", "", "h", 1, "text/markdown", 0.0))
    assert not test(SourceFile("a.txt", "a.txt", "", "h", 1, "text/plain", 0.0))


@pytest.mark.parametrize("reader_type", [file_type.DOCX, file_type.DOC])
def test_word_stands_for_every_version_of_it(reader_type: file_type.FileType) -> None:
    test = file_test(SearchFilter(type="word"))
    assert test is not None
    assert test(SourceFile("a", "a", "", "h", 1, reader_type.mime_type, 0.0))


def test_without_path_and_type_there_is_no_test() -> None:
    assert file_test(SearchFilter(pipelines=frozenset("p"))) is None


@given(st.text("ab*?[.\n"), st.text("ab[.\n"))
def test_patterns_mean_what_they_mean_elsewhere(pattern: str, name: str) -> None:
    test = file_test(SearchFilter(path="*" + pattern))  # with a wildcard, so that it is no folder
    assert test is not None
    file = SourceFile(name, name, "", "h", 1, None, 0.0)
    assert test(file) == fnmatch.fnmatchcase(name, "*" + pattern.replace("[", "[[]"))


def test_a_pattern_for_sql_escapes_its_own_wildcards() -> None:
    assert as_like(r"100%_a\b*c?") == r"100\%\_a\\b%c_"


def test_the_time_of_a_pattern_is_linear_in_the_name() -> None:
    test = file_test(SearchFilter(path="*a" * 50 + "b"))
    assert test is not None
    passes = test

    def prepare(size: int) -> Callable[[], object]:
        file = SourceFile("a" * size, "", "", "h", 1, None, 0.0)
        return lambda: passes(file)

    assert_linear(prepare, [5_000, 50_000, 500_000], "a pattern")
