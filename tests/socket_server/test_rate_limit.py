"""The token bucket, on a fake clock."""

from __future__ import annotations

import pytest

from rag_pipeline.socket_server import rate_limit
from rag_pipeline.socket_server.rate_limit import BURST, PER_SECOND, RateLimit


def test_the_burst_refills_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(rate_limit, "monotonic", lambda: now)
    bucket = RateLimit()
    assert bucket.take(BURST)
    assert not bucket.take()
    now = 1.0
    assert bucket.take(int(PER_SECOND) - 1)
    assert not bucket.take()
    now = 1e6
    assert bucket.take(BURST)
    assert not bucket.take()
