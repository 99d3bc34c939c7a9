"""Finding the owner of a lock, and locking."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_pipeline.cli.store.locking import abandoned_lease_owner, lease_owner, lock_owner, locked
from rag_pipeline.errors import StateError
from rag_pipeline.ingest.store.factory import owner_of
from rag_pipeline.sources.state_folder import StateFolder


def test_the_owner_is_named_while_it_has_the_lock(tmp_path: Path) -> None:
    assert lock_owner(tmp_path) is None
    with StateFolder(tmp_path):
        assert lock_owner(tmp_path) == str(os.getpid())
    assert lock_owner(tmp_path) is None
    assert lock_owner(tmp_path / "nowhere") is None


def test_finding_the_owner_leaves_the_folder_unlocked(tmp_path: Path) -> None:
    StateFolder(tmp_path).close()
    assert lock_owner(tmp_path) is None
    StateFolder(tmp_path).close()


def test_no_pipeline_can_start_in_a_locked_folder(tmp_path: Path) -> None:
    with locked(tmp_path, "--state-dir"), pytest.raises(StateError, match="is in use by process"):
        StateFolder(tmp_path)
    with (
        StateFolder(tmp_path),
        pytest.raises(StateError, match="is in use by process"),
        locked(tmp_path, "--state-dir"),
    ):
        pass


def test_a_missing_folder_is_not_created(tmp_path: Path) -> None:
    with locked(tmp_path / "none", "--state-dir"), lease_owner(tmp_path / "none", "--state-dir"):
        assert not (tmp_path / "none").exists()


def test_the_lease_owner_is_the_state_folder_if_it_can_be_locked(tmp_path: Path) -> None:
    with lease_owner(tmp_path, "--state-dir") as owner:
        assert owner == owner_of(tmp_path)
    with StateFolder(tmp_path), lease_owner(tmp_path, "--state-dir") as owner:
        assert owner != owner_of(tmp_path)


def test_only_an_unlocked_folder_has_abandoned_leases(tmp_path: Path) -> None:
    assert abandoned_lease_owner(tmp_path) is None
    assert not list(tmp_path.iterdir())
    with StateFolder(tmp_path):
        owner = owner_of(tmp_path)
        assert abandoned_lease_owner(tmp_path) is None
    assert abandoned_lease_owner(tmp_path) == owner
