from __future__ import annotations

import pytest

from rag_pipeline.common.pipeline_id import check_pipeline_id
from rag_pipeline.errors import ConfigurationError


@pytest.mark.parametrize("value", [".", "..", "a/b", "../a", "a\\b", " ", "\t", "a\nb", "a\0", "", "x" * 201])
def test_an_unreadable_id_is_an_error(value: str) -> None:
    with pytest.raises(ConfigurationError, match="pipeline_id") as raised:
        check_pipeline_id("pipeline_id", value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("value", ["...", ".a", "a..b", "local_files-host", "Größe 1", "user@host", "%2e%2e"])
def test_a_readable_id_is_accepted(value: str) -> None:
    assert check_pipeline_id("pipeline_id", value) == value


def test_the_error_of_an_id_contains_no_password() -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_pipeline_id("RAG_PIPELINE_ID", "postgres://user:secret@db/name")
    assert "secret" not in str(raised.value)
