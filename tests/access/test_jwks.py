"""The JWKS client: first fetch, rotation, failures, and the limit on refreshes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rag_pipeline.access.decision import INVALID, AccessRefusal, RefusalCode
from rag_pipeline.access.jwks import COOLDOWN_SECONDS, PENDING, UNAVAILABLE, JwksClient
from rag_pipeline.access.keys import VerifyingKey
from tests.access.signing import KeyServer, key_set, public_jwk, publishing
from tests.support.processes import native_threads
from tests.support.waiting import wait_until

FIRST, SECOND = {"kid": "first"}, {"kid": "second"}


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def running(server: KeyServer, clock: Clock | None = None) -> Iterator[JwksClient]:
    keys = JwksClient(server.url, clock=clock or Clock())
    keys.start()
    try:
        yield keys
    finally:
        server.open.set()
        keys.stop()


def has(keys: JwksClient, header: dict[str, str]) -> bool:
    return isinstance(keys.find(header), VerifyingKey)


def test_the_keys_are_fetched_when_start_returns() -> None:
    with publishing(key_set(public_jwk("ES256"))) as server, running(server) as keys:
        assert has(keys, FIRST)
        assert server.requests == 1


def test_start_waits_for_a_bounded_time_and_a_lookup_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.access.jwks.START_SECONDS", 0.05)
    with publishing(key_set(public_jwk("ES256"))) as server:
        server.open.clear()
        with running(server) as keys:
            assert keys.find(FIRST) == PENDING
            server.open.set()
            wait_until(lambda: has(keys, FIRST))


def test_an_unknown_key_triggers_a_refresh() -> None:
    clock = Clock()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server, clock) as keys:
        server.document = key_set(public_jwk("ES256", "second"))
        clock.now += COOLDOWN_SECONDS
        assert keys.find(SECOND) == PENDING
        wait_until(lambda: has(keys, SECOND))
        assert not has(keys, FIRST), "a removed key is not valid any more"


def test_unknown_keys_trigger_one_refresh_in_each_cooldown() -> None:
    clock = Clock()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server, clock) as keys:
        for second in range(1, 31):
            clock.now = 100 + second
            for _ in range(100):
                keys.find(SECOND)
            wait_until(lambda: keys.find(SECOND) == INVALID)
        assert server.requests == 1 + 30 // COOLDOWN_SECONDS


def test_known_keys_stay_valid_while_refreshes_fail_and_the_failure_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server, clock) as keys:
        server.status = 500
        for _ in range(5):
            keys.refresh()
        assert has(keys, FIRST)
        assert keys.find(SECOND) == UNAVAILABLE
        server.document, server.status = key_set(public_jwk("ES256", "second")), 200
        keys.refresh()
        assert has(keys, SECOND)
    lines = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert len(lines) == 2
    assert all(level == logging.WARNING and f"http://127.0.0.1:{server.port} " in line for level, line in lines)
    assert "it answered 500" in lines[0][1]
    assert "works again" in lines[1][1]
    assert "hush" not in caplog.text, "the rest of the URL may be secret"


@pytest.mark.parametrize("document", [b"<html>", b"{}", key_set({"kty": "oct", "k": "c2VjcmV0", "kid": "first"})])
def test_an_invalid_key_set_is_a_failure(document: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with publishing(document) as server, running(server) as keys:
        refusal = keys.find(FIRST)
    assert isinstance(refusal, AccessRefusal)
    assert (refusal.code, refusal.pending) == (RefusalCode.KEYS_UNAVAILABLE, False)
    assert len(caplog.records) == 1


def test_stop_ends_the_thread() -> None:
    before = native_threads()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server):
        assert native_threads() > before
    wait_until(lambda: native_threads() <= before)


def test_a_failed_fetch_is_retried(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("rag_pipeline.access.jwks.RETRY_SECONDS", 0.01)
    with publishing(b"") as server, running(server) as keys:
        wait_until(lambda: server.requests > 5)
        server.document = key_set(public_jwk("ES256"))
        wait_until(lambda: has(keys, FIRST))
    assert len(caplog.records) == 2, "one line at the beginning, one at the end"
