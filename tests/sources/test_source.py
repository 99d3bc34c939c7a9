from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, ServiceError
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.sources.source import Source, SourceUnavailableError, Unreadable
from tests.sources.following.memory_source import MemorySource


def test_the_version_of_an_unreadable_entry_is_its_reason() -> None:
    entry = Unreadable("a", "a", "a named pipe", is_error=False)
    assert entry.version == entry._replace(name="b", link="https://example.org").version
    assert entry.version != entry._replace(reason="a socket").version


def test_an_unavailable_source_gives_a_retry_time_and_the_error_of_a_single_pass() -> None:
    trouble = SourceUnavailableError("away")
    assert (str(trouble), trouble.retry_seconds, trouble.ends_with) == ("away", None, ConfigurationError)
    trouble = SourceUnavailableError("away", 5.0, ends_with=ServiceError)
    assert (trouble.retry_seconds, trouble.ends_with) == (5.0, ServiceError)


@pytest.mark.parametrize("kind", ["local_files", "google_drive"])
def test_local_and_memory_sources_follow_the_protocol(tmp_path: Path, kind: str) -> None:
    local = LocalFilesSource(LocalFilesSettings(str(tmp_path), tmp_path / "state"))
    source: Source = local if kind == "local_files" else MemorySource(tmp_path)
    found = source.scan(lambda: None)
    assert (source.kind, dict(found.files), dict(found.unreadable)) == (kind, {}, {})
    assert not found.is_gone("a")
    assert source.location
    assert set(source.status_fields) == {"folder"}
