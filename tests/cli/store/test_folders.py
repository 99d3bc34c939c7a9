"""Recovering a folder's path from its location in the ledger."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_pipeline.cli.store.folders import folder_of, is_there
from rag_pipeline.sources.local_files import names


@pytest.mark.parametrize(
    "path", ["/", "/a b", "/Büro/日本", "/caf\udce9", "/back\\slash", "/\\xe9", "/\\\\xe9\udcff\\"]
)
def test_any_path_is_recovered(path: str) -> None:
    assert folder_of(names.file_id(path)) == path


@pytest.mark.parametrize(
    "place", ["My Drive", "Google Drive folder 1Ab", "", "/not\\escaped", names.file_id("/" + "x" * 9000)]
)
def test_other_locations_are_none(place: str) -> None:
    assert folder_of(place) is None
    assert is_there(place) is None


def test_is_there(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    place = names.file_id(os.fsdecode(folder))
    assert is_there(place) is False
    os.mkdir(folder)  # noqa: PTH102 - its name is no UTF-8
    assert is_there(place) is True
