"""Finding the file of a call."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.adapters.file_argument import MAX_NAME_LENGTH, File, FileArgument, file_of, takes
from rag_pipeline.status.checks import check_name


class Loader:
    def load(self, path: Path, *more: str, **options: Any) -> None: ...


def ingest(store: object, path: str = "default.txt", *, title: str = "") -> None: ...


@pytest.mark.parametrize("value", ["a.pdf", "/data/Büro München.md", "https://example.com/a", " a "])
def test_a_short_text_names_a_file(value: str) -> None:
    assert file_of(value) == File(value)


@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "x" * (MAX_NAME_LENGTH + 1), None, 7, b"a.pdf", ["a"]])
def test_other_values_name_no_file(value: object) -> None:
    assert file_of(value) is None


def test_a_path_names_a_file_and_a_file_is_kept() -> None:
    assert file_of(Path("a/b.pdf")) == File("a/b.pdf")
    assert file_of(File("b.pdf", "7")) == File("b.pdf", "7")


@pytest.mark.slow
@given(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.lists(st.text())))
def test_any_named_file_can_be_reported(value: object) -> None:
    file = file_of(value)
    assert file is None or check_name("filename", file.name)


def test_the_first_text_or_path_is_the_file() -> None:
    argument = FileArgument(ingest)
    assert argument.find((object(), "a.pdf"), {}) == File("a.pdf")
    assert argument.find((), {"store": 1, "path": "b.pdf", "title": "B"}) == File("b.pdf")
    assert argument.find((1,), {}) == File("default.txt")
    assert FileArgument(Loader.load).find((Loader(), 3, "c.pdf"), {}) == File("c.pdf")
    assert FileArgument(Loader.load).find((Loader(), 3), {"at": 4, "from_": "d.pdf"}) == File("d.pdf")


def test_a_call_without_a_suitable_argument_has_no_file() -> None:
    assert FileArgument(ingest).find((1, 2), {}) is None


def test_a_call_with_wrong_arguments_has_no_file() -> None:
    assert FileArgument(ingest).find((), {"path": "a.pdf"}) is None


def test_the_argument_can_be_named() -> None:
    assert FileArgument(ingest, "title").find((1, "a.pdf"), {"title": "T"}) == File("T")
    assert FileArgument(Loader.load, "source").find((Loader(), "a"), {"source": "b"}) == File("b")


def test_a_missing_argument_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match=r"^ingest\(\) has no argument 'pth'$"):
        FileArgument(ingest, "pth")


def test_a_function_can_choose_the_file() -> None:
    chosen = FileArgument(ingest, lambda store, path: File(path, str(store)))
    assert chosen.find((7, "a.pdf"), {}) == File("a.pdf", "7")
    assert FileArgument(ingest, lambda *_: None).find((7, "a.pdf"), {}) is None


def test_a_signature_takes_its_arguments_and_any_with_kwargs() -> None:
    assert takes(inspect.signature(ingest), "title")
    assert not takes(inspect.signature(ingest), "name")
    assert takes(inspect.signature(Loader.load), "anything")
