from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.local_files.names import display_name, file_id, is_ignored, path_of, uri
from rag_pipeline.status.checks import MAX_NAME_LENGTH, check_name

paths = st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)


@given(paths, paths)
def test_ids_are_unique_and_valid_unicode(one: str, other: str) -> None:
    assert (file_id(one) == file_id(other)) == (one == other)
    assert check_name("file_id", file_id(one)) == file_id(one)
    file_id(one).encode()


@pytest.mark.slow
@given(paths)
def test_every_path_has_a_printable_name(path: str) -> None:
    display_name(path).encode()


def test_an_escaped_byte_differs_from_text_that_looks_like_it() -> None:
    assert file_id(os.fsdecode(b"caf\xe9.txt")) == "caf\\xe9.txt"
    assert file_id("caf\\xe9.txt") == "caf\\\\xe9.txt"
    assert file_id("Büro/München.md") == "Büro/München.md"
    assert display_name(os.fsdecode(b"caf\xe9.txt")) == "caf\\xe9.txt"


def test_ids_and_names_of_very_long_paths_are_bounded() -> None:
    one, other = "x/" * 3000 + "a", "x/" * 3000 + "b"
    assert len(file_id(one)) == len(display_name(one)) == MAX_NAME_LENGTH
    assert file_id(one) != file_id(other)


def test_a_uri_holds_the_bytes_of_the_path() -> None:
    assert uri(os.fsdecode(b"/a b/caf\xe9.txt")) == "file:///a%20b/caf%E9.txt"


@given(paths)
def test_a_path_can_be_read_from_its_uri(path: str) -> None:
    assert path_of(uri("/" + path)) == "/" + path


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".hidden.txt",
        ".~lock.report.odt#",
        ".notes.txt.swp",
        "~$report.docx",
        "a.part",
        "film.crdownload",
        "x.tmp",
        "notes.txt~",
        "#notes#",
        "Thumbs.db",
        "lost+found",
    ],
)
def test_files_that_programs_leave_behind_are_ignored(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize("name", ["a.txt", "part", "tmp", "C#.md", "~notes.txt", "x.tmp.txt", "a\nb.txt"])
def test_documents_are_not_ignored(name: str) -> None:
    assert not is_ignored(name)
