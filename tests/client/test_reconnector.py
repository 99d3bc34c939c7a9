from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rag_pipeline.client import AccessDeniedError, ConnectionState, UnreachableError
from rag_pipeline.client.reconnector import ConnectOptions, Reconnector, Token, usable_transports
from rag_pipeline.client.service_url import ServiceUrl
from rag_pipeline.client.state import ClientState
from rag_pipeline.contract import events
from tests.client.scripted import Played, refuse, scripted
from tests.support.ports import taken_port
from tests.support.waiting import wait_until


@contextmanager
def reconnecting(port: int, *, token: Token = None, **changes: Any) -> Iterator[ClientState]:
    options = ConnectOptions(
        ServiceUrl("http", "127.0.0.1", port), "/pipeline", token, ("polling",), 10.0, 0.01, 0.05, None
    )
    state = ClientState()
    reconnector = Reconnector(options._replace(**changes), state)
    thread = threading.Thread(target=reconnector.run, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        reconnector.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_without_websocket_client_only_polling_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_transports() == ("websocket", "polling")
    monkeypatch.setattr("rag_pipeline.client.reconnector.find_spec", lambda _name: None)
    assert usable_transports() == ("polling",)


@pytest.mark.slow
def test_it_reconnects_and_resumes_after_each_disconnect() -> None:
    played = Played()

    def greet(auth: dict[str, Any]) -> Callable[[], None]:
        more = {"recovered": True} if "offset" in auth else {}
        return lambda: script.emit(events.STATUS, played.snapshot(**more))

    with scripted() as script:
        script.on_connect = greet
        with reconnecting(script.port) as state:
            for sessions in (1, 2, 3):
                wait_until(lambda: len(script.auths) == sessions and state.connection is ConnectionState.LIVE)  # noqa: B023
                script.end_session()
            wait_until(lambda: len(script.auths) == 4)
    assert script.auths[0] == {}
    assert {auth["offset"] for auth in script.auths[1:]} == {played.snapshot()["offset"]}


@pytest.mark.slow
def test_an_unhealed_gap_leads_to_a_fresh_start() -> None:
    played = Played()
    with scripted() as script:

        def skip() -> None:
            script.emit(events.STATUS, played.snapshot())
            played.pipeline.add_processing_file("a")
            played.pipeline.add_processing_file("b")
            if len(script.auths) == 1:
                script.emit(*played.last())

        script.on_connect = lambda _auth: skip
        with reconnecting(script.port) as state:
            wait_until(lambda: len(script.auths) == 2 and state.connection is ConnectionState.LIVE)
            assert script.auths[1] == {}
            assert state.states()["played"]["files_in_flight"] == 2


def test_a_refused_client_does_not_retry() -> None:
    with scripted() as script:
        script.on_connect = lambda _auth: refuse("token_missing")
        with reconnecting(script.port) as state:
            wait_until(lambda: state.connection is ConnectionState.REFUSED)
            assert isinstance(state.error, AccessDeniedError)
            assert state.error.code == "token_missing"
        assert len(script.auths) == 1


@pytest.mark.slow
def test_a_refused_token_string_is_not_tried_twice() -> None:
    with scripted() as script:
        script.on_connect = lambda _auth: refuse("token_expired")
        with reconnecting(script.port, token="abc") as state:
            wait_until(lambda: state.connection is ConnectionState.REFUSED)
        assert script.auths == [{"token": "abc"}]


@pytest.mark.slow
def test_an_expired_token_is_renewed_once() -> None:
    tokens = iter(["first", "second", "third", "fourth"])
    played = Played()

    def connect(auth: dict[str, Any]) -> Callable[[], None]:
        if auth["token"] != "second":
            refuse("token_expired")
        return lambda: script.emit(events.STATUS, played.snapshot())

    with scripted() as script:
        script.on_connect = connect
        with reconnecting(script.port, token=lambda: next(tokens)) as state:
            wait_until(lambda: state.connection is ConnectionState.LIVE)
            script.end_session()  # as on expiry: the next two tokens are refused
            wait_until(lambda: state.connection is ConnectionState.REFUSED)
        assert [auth["token"] for auth in script.auths] == ["first", "second", "third", "fourth"]


@pytest.mark.slow
def test_unavailable_keys_are_retried() -> None:
    played = Played()

    def connect(_auth: dict[str, Any]) -> Callable[[], None]:
        if len(script.auths) < 3:
            refuse("keys_unavailable")
        return lambda: script.emit(events.STATUS, played.snapshot())

    with scripted() as script:
        script.on_connect = connect
        with reconnecting(script.port, token="abc") as state:
            wait_until(lambda: state.connection is ConnectionState.LIVE)
            assert state.error is None
        assert len(script.auths) == 3


def test_a_failing_token_function_is_retried_and_its_message_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        raise OSError("hunter2")

    with taken_port() as port, reconnecting(port, token=token) as state:
        wait_until(lambda: len(asked) > 2)
        assert isinstance(state.error, UnreachableError)
        assert "the token function has raised OSError" in str(state.error)
    assert "hunter2" not in str(state.error) + caplog.text


def test_an_unreachable_service_is_retried_until_the_time_is_over() -> None:
    with taken_port() as port:
        pass
    with reconnecting(port) as state:
        wait_until(lambda: state.error is not None)
        assert state.connection is ConnectionState.CONNECTING
        assert str(state.error) == f"no connection to http://127.0.0.1:{port}: Connection refused"
    with reconnecting(port, give_up_after_seconds=0.1) as state:
        wait_until(lambda: state.connection is ConnectionState.CLOSED)
        assert isinstance(state.error, UnreachableError)


def test_an_unexpected_exception_closes_the_client_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rag_pipeline.client.reconnector.find_target", lambda *_args, **_more: 1 / 0)
    with reconnecting(1) as state:
        wait_until(lambda: state.connection is ConnectionState.CLOSED)
        assert isinstance(state.error, ZeroDivisionError)
    assert "has failed" in caplog.text
