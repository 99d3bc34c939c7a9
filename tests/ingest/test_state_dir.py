from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.state_dir import is_default, note_new_default, read_state_dir


def test_the_state_folder_is_from_the_environment_or_the_default() -> None:
    assert read_state_dir({}) == read_state_dir({"STATUS_STATE_DIR": " "}) == Path(".rag_pipeline")
    assert read_state_dir({"STATUS_STATE_DIR": "/data/state"}) == Path("/data/state")
    assert read_state_dir({"STATUS_STATE_DIR": "~/state"}) == Path.home() / "state"


def test_the_note_names_a_new_default_folder_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    default = read_state_dir({})
    line = f"a new index in {tmp_path / '.rag_pipeline'} (--state-dir names another state folder)"
    assert note_new_default(default, "--state-dir") == line
    default.mkdir()
    (default / "lock").touch()
    (default / ".gitignore").touch()
    assert note_new_default(default, "--state-dir") == line
    (default / "ledger.sqlite3").touch()
    assert note_new_default(default, "--state-dir") is None


def test_there_is_no_note_for_a_folder_that_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_default(tmp_path / "state")
    assert note_new_default(tmp_path / ".rag_pipeline", "--state-dir") is None
    assert note_new_default(Path("state"), "--state-dir") is None
