from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError
from tests.sources.runner.run_files import FOLDER, read


def test_a_missing_folder_is_an_error_only_when_it_is_verified(tmp_path: Path) -> None:
    (pipeline,) = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "docs"\n').pipelines
    with pytest.raises(ConfigurationError) as error:
        pipeline.verify()
    reason = "expected a folder that can be listed (No such file or directory)"
    assert str(error.value) == f"folder={str(tmp_path / 'docs')!r}: {reason}"
    (tmp_path / "docs").mkdir()
    pipeline.verify()


def test_a_folder_is_known_by_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "link").symlink_to("docs")
    (pipeline,) = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "link"\n').pipelines
    assert (pipeline.location, pipeline.spec.title) == (str(tmp_path / "docs"), str(tmp_path / "docs"))


def test_a_tilde_stands_for_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (pipeline,) = read(tmp_path, f'{FOLDER}id = "a"\nfolder = "~/docs"\n').pipelines
    assert pipeline.location == str(tmp_path / "home" / "docs")
