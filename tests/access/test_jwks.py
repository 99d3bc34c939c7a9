"""Published keys: had before they are needed, rotated, and not asked for more often than is good."""

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
    """A clock that the test moves."""

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


def test_the_keys_are_there_when_the_start_returns() -> None:
    with publishing(key_set(public_jwk("ES256"))) as server, running(server) as keys:
        assert has(keys, FIRST)
        assert server.asked == 1


def test_the_start_does_not_wait_for_long_and_who_asks_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.access.jwks.START_SECONDS", 0.05)
    with publishing(key_set(public_jwk("ES256"))) as server:
        server.open.clear()
        with running(server) as keys:
            assert keys.find(FIRST) == PENDING
            server.open.set()
            wait_until(lambda: has(keys, FIRST))


def test_a_key_that_is_new_is_fetched_when_it_is_asked_for() -> None:
    clock = Clock()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server, clock) as keys:
        server.document = key_set(public_jwk("ES256", "second"))
        clock.now += COOLDOWN_SECONDS
        assert keys.find(SECOND) == PENDING
        wait_until(lambda: has(keys, SECOND))
        assert not has(keys, FIRST), "one that was taken out is good no more"


def test_keys_that_do_not_exist_are_not_fetched_for_more_than_once_in_a_while() -> None:
    clock = Clock()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server, clock) as keys:
        for second in range(1, 31):
            clock.now = 100 + second
            for _ in range(100):
                keys.find(SECOND)
            wait_until(lambda: keys.find(SECOND) == INVALID)
        assert server.asked == 1 + 30 // COOLDOWN_SECONDS


def test_those_known_stay_good_while_the_server_is_away_and_the_log_says_so_once(
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
    said = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert len(said) == 2
    assert all(level == logging.WARNING and f"http://127.0.0.1:{server.port} " in line for level, line in said)
    assert "it answered 500" in said[0][1]
    assert "again" in said[1][1]
    assert "hush" not in caplog.text, "what follows the host may be secret"


@pytest.mark.parametrize("document", [b"<html>", b"{}", key_set({"kty": "oct", "k": "c2VjcmV0", "kid": "first"})])
def test_what_is_no_key_set_is_a_failure_too(document: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with publishing(document) as server, running(server) as keys:
        refusal = keys.find(FIRST)
    assert isinstance(refusal, AccessRefusal)
    assert (refusal.code, refusal.pending) == (RefusalCode.KEYS_UNAVAILABLE, False)
    assert len(caplog.records) == 1


def test_the_thread_ends_with_it() -> None:
    before = native_threads()
    with publishing(key_set(public_jwk("ES256"))) as server, running(server):
        assert native_threads() > before
    wait_until(lambda: native_threads() <= before)


def test_it_is_retried_by_itself(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("rag_pipeline.access.jwks.RETRY_SECONDS", 0.01)
    with publishing(b"") as server, running(server) as keys:
        wait_until(lambda: server.asked > 5)
        server.document = key_set(public_jwk("ES256"))
        wait_until(lambda: has(keys, FIRST))
    assert len(caplog.records) == 2, "one line when it began, one when it was over"
