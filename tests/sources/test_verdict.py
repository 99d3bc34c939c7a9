from __future__ import annotations

import pytest

from rag_pipeline.ingest.types import ExtractedDocument, TextQuality, TextWarning
from rag_pipeline.sources.verdict import Verdict

WARNING = TextWarning("odd_characters", "some characters could not be decoded – é", 3)
QUALITY = TextQuality(1200, 0.0025, 10, 9)


@pytest.mark.parametrize("verdict", [Verdict((WARNING,), QUALITY), Verdict((), TextQuality())])
def test_the_ledger_keeps_a_verdict(verdict: Verdict) -> None:
    assert Verdict.parse(verdict.to_text()) == verdict


def test_a_verdict_is_that_of_the_extraction() -> None:
    document = ExtractedDocument((), "text/plain", (WARNING,), QUALITY)
    assert Verdict.of(document) == Verdict((WARNING,), QUALITY)


def test_a_row_of_an_older_or_another_version_has_no_verdict() -> None:
    assert Verdict.parse(None) is None
    assert Verdict.parse("[[],[1,2,3,4,5,6,7,8]]") is None
    assert Verdict.parse("no JSON") is None


def test_the_status_gets_mappings() -> None:
    assert Verdict((WARNING,), QUALITY).fields() == {
        "warnings": [{"type": "odd_characters", "message": WARNING.message, "count": 3}],
        "quality": {"characters": 1200, "odd_characters": 0.0025, "pages": 10, "pages_without_text": 9},
    }
