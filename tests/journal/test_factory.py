from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from rag_pipeline.common.config import Settings
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.journal.factory import open_backend
from rag_pipeline.journal.memory import MemoryBackend
from rag_pipeline.journal.sqlite.backend import JOURNAL_NAME, SqliteBackend


def test_without_a_state_folder_the_journal_is_in_memory() -> None:
    assert type(open_backend(Settings.from_env({}))) is MemoryBackend


def test_in_a_state_folder_the_journal_is_a_file(tmp_path: Path) -> None:
    backend = open_backend(Settings.from_env({"STATUS_STATE_DIR": str(tmp_path / "state")}))
    assert type(backend) is SqliteBackend
    assert backend.degraded is None
    assert (tmp_path / "state" / JOURNAL_NAME).exists()
    backend.stop()


def test_a_wrong_redis_url_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"^STATUS_REDIS_URL: the Redis URL must begin with"):
        open_backend(Settings.from_env({"STATUS_REDIS_URL": "http://secret@host"}))


def test_redis_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="pip install"):
        open_backend(Settings.from_env({"STATUS_REDIS_URL": "redis://host"}))
