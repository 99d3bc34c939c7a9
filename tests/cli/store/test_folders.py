"""A folder's path comes back from what the ledger keeps of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_pipeline.cli.store.folders import folder_of, is_there
from rag_pipeline.sources.local_files import names


@pytest.mark.parametrize(
    "path", ["/", "/a b", "/Büro/日本", "/caf\udce9", "/back\\slash", "/\\xe9", "/\\\\xe9\udcff\\"]
)
def test_any_path_comes_back(path: str) -> None:
    assert folder_of(names.file_id(path)) == path


@pytest.mark.parametrize(
    "place", ["My Drive", "Google Drive folder 1Ab", "", "/not\\escaped", names.file_id("/" + "x" * 9000)]
)
def test_what_is_no_path_is_none(place: str) -> None:
    assert folder_of(place) is None
    assert is_there(place) is None


def test_whether_it_is_there(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    place = names.file_id(os.fsdecode(folder))
    assert is_there(place) is False
    os.mkdir(folder)  # noqa: PTH102 - its name is no UTF-8
    assert is_there(place) is True
