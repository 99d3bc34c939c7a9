from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, ServiceError
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.sources.source import Source, SourceUnavailableError, Unreadable
from tests.sources.following.memory_source import MemorySource


def test_an_oddity_is_another_one_when_its_reason_is() -> None:
    odd = Unreadable("a", "a", "a named pipe", is_error=False)
    assert odd.version == odd._replace(name="b", link="https://example.org").version
    assert odd.version != odd._replace(reason="a socket").version


def test_trouble_says_when_to_look_again_and_how_a_single_pass_ends() -> None:
    trouble = SourceUnavailableError("away")
    assert (str(trouble), trouble.retry_seconds, trouble.ends_with) == ("away", None, ConfigurationError)
    trouble = SourceUnavailableError("away", 5.0, ends_with=ServiceError)
    assert (trouble.retry_seconds, trouble.ends_with) == (5.0, ServiceError)


@pytest.mark.parametrize("kind", ["local_files", "google_drive"])
def test_a_folder_and_a_source_in_memory_are_sources_alike(tmp_path: Path, kind: str) -> None:
    local = LocalFilesSource(LocalFilesSettings(str(tmp_path), tmp_path / "state"))
    source: Source = local if kind == "local_files" else MemorySource(tmp_path)
    found = source.scan(lambda: None)
    assert (source.kind, dict(found.files), dict(found.unreadable)) == (kind, {}, {})
    assert not found.is_gone("a")
    assert source.location
    assert set(source.status_fields) == {"folder"}
