from __future__ import annotations

import gc
import threading

import pytest

from rag_pipeline.client import AccessDeniedError, ClientClosedError, SlowConsumerError, Standing, UnreachableError
from rag_pipeline.client.state import Board
from rag_pipeline.contract import events
from tests.client.scripted import Played


def live(played: Played) -> Board:
    board = Board()
    assert board.begin("/pipeline") is None
    board.stand(Standing.LIVE)
    board.receive(events.STATUS, played.snapshot())
    return board


def test_it_is_catching_up_until_the_picture_is_whole() -> None:
    board = Board()
    standings = [board.standing]
    board.stand(Standing.LIVE)
    standings.append(board.standing)
    assert board.live_states() is None
    board.receive(events.STATUS, Played().snapshot())
    standings.append(board.standing)
    assert standings == [Standing.CONNECTING, Standing.CATCHING_UP, Standing.LIVE]


def test_states_that_were_handed_out_do_not_change() -> None:
    played = Played()
    board = live(played)
    before = board.states()
    played.pipeline.add_processing_file("a")
    board.receive(*played.last())
    assert before["played"]["files_in_flight"] == 0
    assert board.states()["played"]["files_in_flight"] == 1


def test_each_change_ends_a_wait() -> None:
    played = Played()
    board = live(played)
    version = board.version
    assert board.wait(version, 0.01) == version
    seen: list[int] = []
    waiter = threading.Thread(target=lambda: seen.append(board.wait(version, 20)))
    waiter.start()
    board.stand(Standing.RECONNECTING, UnreachableError("gone"))
    waiter.join(20)
    assert seen == [version + 1]


def test_a_stream_has_what_came_since_it_was_made_and_one_that_nobody_reads_is_let_go_of() -> None:
    played = Played()
    board = live(played)
    stream, forgotten = board.stream(10, None), board.stream(1, None)
    played.pipeline.update(own={"n": 1})
    board.receive(*played.last())
    assert [event.data["n"] for event in stream.pending()] == [1]
    del forgotten
    gc.collect()
    assert len(board._streams) == 1


def test_a_stream_that_is_full_does_not_hold_the_others_up() -> None:
    played = Played()
    board = live(played)
    slow, quick = board.stream(1, None), board.stream(10, None)
    for n in range(3):
        played.pipeline.update(own={"n": n})
        board.receive(*played.last())
    assert len(quick.pending()) == 3
    assert len(slow.pending()) == 1
    with pytest.raises(SlowConsumerError):
        slow.pending()


def test_what_is_not_as_the_protocol_says_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    played = Played()
    board = live(played)
    played.pipeline.add_processing_file("a")
    name, data = played.last()
    for _ in range(2):
        board.receive(name, {**data, "file": {"secret": 1}})
    assert board.states()["played"]["files_in_flight"] == 0
    assert [record.name for record in caplog.records].count("rag_pipeline.client") == 1
    assert board.standing is Standing.CATCHING_UP, "the next status is to say what it is now"
    assert "secret" not in caplog.text


def test_once_it_is_over_nothing_changes_any_more() -> None:
    board = live(Played())
    stream = board.stream(10, None)
    refused = AccessDeniedError("no", code="token_invalid")
    board.stand(Standing.REFUSED, refused)
    board.stand(Standing.RECONNECTING, UnreachableError("gone"))
    assert (board.standing, board.error) == (Standing.REFUSED, refused)
    with pytest.raises(AccessDeniedError):
        board.live_states()
    with pytest.raises(AccessDeniedError):
        next(stream)
    board.stand(Standing.CLOSED)
    with pytest.raises(ClientClosedError):
        board.live_states()
    assert list(board.stream(10, None)) == []
    assert list(board.states()) == ["played"], "the last states stay"
