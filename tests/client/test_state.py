from __future__ import annotations

import gc
import threading

import pytest

from rag_pipeline.client import (
    AccessDeniedError,
    ClientClosedError,
    ConnectionState,
    SlowConsumerError,
    UnreachableError,
)
from rag_pipeline.client.state import ClientState
from rag_pipeline.contract import events
from tests.client.scripted import Played


def live(played: Played) -> ClientState:
    state = ClientState()
    assert state.begin("/pipeline") is None
    state.set_connection(ConnectionState.LIVE)
    state.receive(events.STATUS, played.snapshot())
    return state


def test_it_is_catching_up_until_the_snapshot_is_complete() -> None:
    state = ClientState()
    connections = [state.connection]
    state.set_connection(ConnectionState.LIVE)
    connections.append(state.connection)
    assert state.live_states() is None
    state.receive(events.STATUS, Played().snapshot())
    connections.append(state.connection)
    assert connections == [ConnectionState.CONNECTING, ConnectionState.CATCHING_UP, ConnectionState.LIVE]


def test_returned_states_do_not_change() -> None:
    played = Played()
    state = live(played)
    before = state.states()
    played.pipeline.add_processing_file("a")
    state.receive(*played.last())
    assert before["played"]["files_in_flight"] == 0
    assert state.states()["played"]["files_in_flight"] == 1


def test_each_change_ends_a_wait() -> None:
    played = Played()
    state = live(played)
    version = state.version
    assert state.wait(version, 0.01) == version
    seen: list[int] = []
    waiter = threading.Thread(target=lambda: seen.append(state.wait(version, 20)))
    waiter.start()
    state.set_connection(ConnectionState.RECONNECTING, UnreachableError("gone"))
    waiter.join(20)
    assert seen == [version + 1]


@pytest.mark.slow
def test_a_stream_has_later_events_and_an_abandoned_one_is_freed() -> None:
    played = Played()
    state = live(played)
    stream, forgotten = state.stream(10, None), state.stream(1, None)
    played.pipeline.update(own={"n": 1})
    state.receive(*played.last())
    assert [event.data["n"] for event in stream.pending()] == [1]
    del forgotten
    gc.collect()
    assert len(state._streams) == 1


def test_a_full_stream_does_not_affect_the_others() -> None:
    played = Played()
    state = live(played)
    slow, quick = state.stream(1, None), state.stream(10, None)
    for n in range(3):
        played.pipeline.update(own={"n": n})
        state.receive(*played.last())
    assert len(quick.pending()) == 3
    assert len(slow.pending()) == 1
    with pytest.raises(SlowConsumerError):
        slow.pending()


def test_malformed_events_are_ignored_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    played = Played()
    state = live(played)
    played.pipeline.add_processing_file("a")
    name, data = played.last()
    for _ in range(2):
        state.receive(name, {**data, "file": {"secret": 1}})
    assert state.states()["played"]["files_in_flight"] == 0
    assert [record.name for record in caplog.records].count("rag_pipeline.client") == 1
    assert state.connection is ConnectionState.CATCHING_UP, "until the next status"
    assert "secret" not in caplog.text


def test_a_final_state_does_not_change() -> None:
    state = live(Played())
    stream = state.stream(10, None)
    refused = AccessDeniedError("no", code="token_invalid")
    state.set_connection(ConnectionState.REFUSED, refused)
    state.set_connection(ConnectionState.RECONNECTING, UnreachableError("gone"))
    assert (state.connection, state.error) == (ConnectionState.REFUSED, refused)
    with pytest.raises(AccessDeniedError):
        state.live_states()
    with pytest.raises(AccessDeniedError):
        next(stream)
    state.set_connection(ConnectionState.CLOSED)
    with pytest.raises(ClientClosedError):
        state.live_states()
    assert list(state.stream(10, None)) == []
    assert list(state.states()) == ["played"], "the last states stay"
