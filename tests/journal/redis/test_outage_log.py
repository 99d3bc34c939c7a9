from __future__ import annotations

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.connection import ConnectionLostError, RedisRefusedError, RedisUnavailableError
from rag_pipeline.journal.redis.outage_log import OutageLog

GONE = ConnectionLostError("Redis at host:6379/0 can't be reached: Connection refused")
SLOW = RedisUnavailableError("Redis at host:6379/0 did not answer within 3 s")
REFUSALS = [RedisRefusedError("Redis at host:6379/0 refused a command"), JournalError("it refused the login")]
TOLD = "; retrying, and clients stay connected"


@pytest.fixture
def outage() -> OutageLog:
    return OutageLog(RedisAddress("redis://:secret@host"))


def test_an_outage_is_logged_once_whoever_notices_and_once_when_all_are_back(
    outage: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        outage.failed("reader", GONE)
        outage.failed("publisher", SLOW)
    assert len(caplog.messages) == 1
    outage.recovered("reader")
    outage.failed("publisher", SLOW)
    assert len(caplog.messages) == 1
    outage.recovered("publisher")
    assert caplog.messages[1:] == ["Redis at host:6379/0 is back"]
    outage.failed("reader", SLOW)
    assert len(caplog.messages) == 3


def test_a_connection_that_is_restored_at_once_is_not_logged(
    outage: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    for who in ("reader", "publisher"):
        outage.failed(who, GONE)
        outage.recovered(who)
    assert caplog.messages == []
    outage.failed("reader", GONE)
    outage.failed("reader", GONE)
    assert caplog.messages == [f"{GONE}{TOLD}"]


def test_other_failures_are_logged_at_once(outage: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    outage.failed("publisher", SLOW)
    assert caplog.messages == [f"{SLOW}{TOLD}"]


@pytest.mark.parametrize("error", REFUSALS)
def test_a_refusal_is_logged_once_also_after_an_outage(
    outage: OutageLog, error: JournalError, caplog: pytest.LogCaptureFixture
) -> None:
    outage.failed("publisher", SLOW)
    for _ in range(3):
        outage.failed("publisher", error)
        outage.failed("reader", error)
    refused = f"{error}; retried every 10 s, and clients stay connected"
    assert caplog.messages == [f"{SLOW}{TOLD}", refused]
    outage.recovered("publisher")
    outage.recovered("reader")
    outage.failed("publisher", error)
    assert caplog.messages[2:] == ["Redis at host:6379/0 is back", refused]
