"""The options of embedding models."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.embedding_options import NO_PREFIXES, Precision
from rag_pipeline.ingest.settings import IngestSettings


def test_settings_choose_the_precision() -> None:
    assert IngestSettings.from_env({}).embedding_precision is Precision.AUTO
    assert IngestSettings.from_env({"EMBEDDING_PRECISION": "INT8"}).embedding_precision is Precision.INT8
    with pytest.raises(ConfigurationError, match=r"EMBEDDING_PRECISION='half': expected one of auto, float32, int8"):
        IngestSettings.from_env({"EMBEDDING_PRECISION": "half"})


def test_prefixes_keep_their_space_and_can_be_empty() -> None:
    settings = IngestSettings.from_env({"EMBEDDING_QUESTION_PREFIX": "query: ", "EMBEDDING_PASSAGE_PREFIX": ""})
    assert (settings.question_prefix, settings.passage_prefix) == ("query: ", "")
    assert (NO_PREFIXES.question, NO_PREFIXES.passage) == (None, None)
