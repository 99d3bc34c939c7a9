"""The table of a folder: what is built from it, and what is found wrong before it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError
from tests.sources.run.files import FOLDER, read


def test_a_folder_that_is_not_there_yet_is_no_mistake_until_it_is_checked(tmp_path: Path) -> None:
    (entry,) = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "docs"\n').pipelines
    with pytest.raises(ConfigurationError) as error:
        entry.verify()
    reason = "expected a folder that can be listed (No such file or directory)"
    assert str(error.value) == f"folder={str(tmp_path / 'docs')!r}: {reason}"
    (tmp_path / "docs").mkdir()
    entry.verify()


def test_a_folder_is_known_by_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "link").symlink_to("docs")
    (entry,) = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "link"\n').pipelines
    assert (entry.place, entry.task.title) == (str(tmp_path / "docs"), str(tmp_path / "docs"))


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (entry,) = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "~/docs"\n').pipelines
    assert entry.place == str(tmp_path / "home" / "docs")
