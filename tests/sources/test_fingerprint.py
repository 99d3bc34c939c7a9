from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_pipeline.errors import ExtractionLimitError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.fingerprint import fingerprint
from rag_pipeline.sources.source import open_local


def of(path: Path, config_hash: str = "r1", limit: int = 1 << 22) -> str:
    with open_local(str(path)) as content:
        return fingerprint(content.descriptor, path.name, config_hash, limit=limit, check=lambda: None)


def test_a_fingerprint_depends_only_on_content_and_configuration(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("text")
    other.write_text("text")
    assert of(one) == of(other)
    assert of(one) != of(one, "r2")
    other.write_text("texts")
    assert of(one) != of(other)


def test_reading_stops_when_a_file_grows_over_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 42)  # sparse: reading it would take hours
    with pytest.raises(ExtractionLimitError, match="huge has grown over the limit of 4,194,304 bytes"):
        of(path)


def test_check_can_stop_the_reading_at_each_block(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (3 << 20))
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise Stopped

    with open_local(str(path)) as content, pytest.raises(Stopped):
        fingerprint(content.descriptor, "a", "r1", limit=1 << 30, check=check)
    assert len(calls) == 2


def test_anything_but_a_file_counts_as_gone_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        of(tmp_path / "pipe")
