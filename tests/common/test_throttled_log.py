from __future__ import annotations

import logging

import pytest

from rag_pipeline.common.throttled_log import ThrottledLog, quoted


def test_one_line_a_minute_is_logged_with_the_number_of_others(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = ThrottledLog(logging.getLogger("test"), lambda: now)
    for _ in range(5):
        log.warn(lambda: "refused")
    now = 60.0
    log.warn(lambda: "again")
    now = 120.0
    log.warn(lambda: "and again")
    assert [record.message for record in caplog.records] == [
        "refused",
        "again (4 more since the last such line)",
        "and again",
    ]


def test_text_from_outside_is_quoted_and_cut() -> None:
    assert quoted("a\nb") == "'a\\nb'"
    assert len(quoted("x" * 10_000)) == 102
