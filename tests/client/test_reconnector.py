from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rag_pipeline.client import AccessDeniedError, Standing, UnreachableError
from rag_pipeline.client.address import Address
from rag_pipeline.client.reconnector import Plan, Tender, Token, usable_transports
from rag_pipeline.client.state import Board
from rag_pipeline.contract import events
from tests.client.scripted import Played, refuse, scripted
from tests.support.ports import taken_port
from tests.support.waiting import wait_until


@contextmanager
def tending(port: int, *, token: Token = None, **changes: Any) -> Iterator[Board]:
    plan = Plan(Address("http", "127.0.0.1", port), "/pipeline", token, ("polling",), 10.0, 0.01, 0.05, None)
    board = Board()
    tender = Tender(plan._replace(**changes), board)
    thread = threading.Thread(target=tender.run, daemon=True)
    thread.start()
    try:
        yield board
    finally:
        tender.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_without_the_library_for_websockets_it_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_transports() == ("websocket", "polling")
    monkeypatch.setattr("rag_pipeline.client.reconnector.find_spec", lambda _name: None)
    assert usable_transports() == ("polling",)


def test_it_comes_back_after_each_end_and_goes_on_where_it_was() -> None:
    played = Played()

    def greet(auth: dict[str, Any]) -> Callable[[], None]:
        more = {"recovered": True} if "offset" in auth else {}
        return lambda: script.emit(events.STATUS, played.snapshot(**more))

    with scripted() as script:
        script.on_connect = greet
        with tending(script.port) as board:
            for sessions in (1, 2, 3):
                wait_until(lambda: len(script.auths) == sessions and board.standing is Standing.LIVE)  # noqa: B023
                script.end_session()
            wait_until(lambda: len(script.auths) == 4)
    assert script.auths[0] == {}
    assert {auth["offset"] for auth in script.auths[1:]} == {played.snapshot()["offset"]}


def test_a_gap_that_is_not_healed_is_by_a_fresh_start() -> None:
    played = Played()
    with scripted() as script:

        def skip() -> None:
            script.emit(events.STATUS, played.snapshot())
            played.pipeline.add_processing_file("a")
            played.pipeline.add_processing_file("b")
            if len(script.auths) == 1:
                script.emit(*played.last())

        script.on_connect = lambda _auth: skip
        with tending(script.port) as board:
            wait_until(lambda: len(script.auths) == 2 and board.standing is Standing.LIVE)
            assert script.auths[1] == {}
            assert board.states()["played"]["files_in_flight"] == 2


def test_a_refused_client_does_not_try_again() -> None:
    with scripted() as script:
        script.on_connect = lambda _auth: refuse("token_missing")
        with tending(script.port) as board:
            wait_until(lambda: board.standing is Standing.REFUSED)
            assert isinstance(board.error, AccessDeniedError)
            assert board.error.code == "token_missing"
        assert len(script.auths) == 1


def test_a_token_that_was_given_as_a_string_is_not_tried_twice() -> None:
    with scripted() as script:
        script.on_connect = lambda _auth: refuse("token_expired")
        with tending(script.port, token="abc") as board:
            wait_until(lambda: board.standing is Standing.REFUSED)
        assert script.auths == [{"token": "abc"}]


def test_for_an_expired_token_another_one_is_asked_for_once() -> None:
    tokens = iter(["first", "second", "third", "fourth"])
    played = Played()

    def connect(auth: dict[str, Any]) -> Callable[[], None]:
        if auth["token"] != "second":
            refuse("token_expired")
        return lambda: script.emit(events.STATUS, played.snapshot())

    with scripted() as script:
        script.on_connect = connect
        with tending(script.port, token=lambda: next(tokens)) as board:
            wait_until(lambda: board.standing is Standing.LIVE)
            script.end_session()  # as when it expires: what comes next is refused twice
            wait_until(lambda: board.standing is Standing.REFUSED)
        assert [auth["token"] for auth in script.auths] == ["first", "second", "third", "fourth"]


def test_keys_that_can_not_be_had_are_waited_for() -> None:
    played = Played()

    def connect(_auth: dict[str, Any]) -> Callable[[], None]:
        if len(script.auths) < 3:
            refuse("keys_unavailable")
        return lambda: script.emit(events.STATUS, played.snapshot())

    with scripted() as script:
        script.on_connect = connect
        with tending(script.port, token="abc") as board:
            wait_until(lambda: board.standing is Standing.LIVE)
            assert board.error is None
        assert len(script.auths) == 3


def test_a_function_that_has_no_token_now_is_asked_again_and_its_reason_is_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        raise OSError("hunter2")

    with taken_port() as port, tending(port, token=token) as board:
        wait_until(lambda: len(asked) > 2)
        assert isinstance(board.error, UnreachableError)
        assert "the token could not be had (OSError)" in str(board.error)
    assert "hunter2" not in str(board.error) + caplog.text


def test_a_service_that_is_not_there_is_tried_until_the_time_is_over() -> None:
    with taken_port() as port:
        pass
    with tending(port) as board:
        wait_until(lambda: board.error is not None)
        assert board.standing is Standing.CONNECTING
        assert str(board.error) == f"no connection to http://127.0.0.1:{port}: Connection refused"
    with tending(port, give_up_after_seconds=0.1) as board:
        wait_until(lambda: board.standing is Standing.CLOSED)
        assert isinstance(board.error, UnreachableError)


def test_a_mistake_of_ours_ends_it_and_not_the_program(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rag_pipeline.client.reconnector.target_of", lambda *_args, **_more: 1 / 0)
    with tending(1) as board:
        wait_until(lambda: board.standing is Standing.CLOSED)
        assert isinstance(board.error, ZeroDivisionError)
    assert "has failed" in caplog.text
