"""Who holds a state folder is told, and holding it keeps others out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_pipeline.cli.store.locking import held, holder_of, lease_owner, left_lease
from rag_pipeline.errors import StateError
from rag_pipeline.ingest.store.factory import owner_of
from rag_pipeline.sources.state_folder import StateFolder


def test_the_holder_is_named_while_it_holds(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    with StateFolder(tmp_path):
        assert holder_of(tmp_path) == str(os.getpid())
    assert holder_of(tmp_path) is None
    assert holder_of(tmp_path / "nowhere") is None


def test_asking_leaves_the_folder_free(tmp_path: Path) -> None:
    StateFolder(tmp_path).close()
    assert holder_of(tmp_path) is None
    StateFolder(tmp_path).close()


def test_no_pipeline_can_start_meanwhile(tmp_path: Path) -> None:
    with held(tmp_path, "--state-dir"), pytest.raises(StateError, match="is in use by process"):
        StateFolder(tmp_path)
    with StateFolder(tmp_path), pytest.raises(StateError, match="is in use by process"), held(tmp_path, "--state-dir"):
        pass


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with held(tmp_path / "none", "--state-dir"), lease_owner(tmp_path / "none", "--state-dir"):
        assert not (tmp_path / "none").exists()


def test_a_lease_is_taken_as_the_state_folder_if_that_can_be_held(tmp_path: Path) -> None:
    with lease_owner(tmp_path, "--state-dir") as owner:
        assert owner == owner_of(tmp_path)
    with StateFolder(tmp_path), lease_owner(tmp_path, "--state-dir") as owner:
        assert owner != owner_of(tmp_path)


def test_leases_are_left_by_a_folder_that_nobody_holds(tmp_path: Path) -> None:
    assert left_lease(tmp_path) is None
    assert not list(tmp_path.iterdir())
    with StateFolder(tmp_path):
        owner = owner_of(tmp_path)
        assert left_lease(tmp_path) is None
    assert left_lease(tmp_path) == owner
