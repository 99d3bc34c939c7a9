from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.control import MAX_WAITING, NEED_FILE, Action, Control, ControlError, ControlRequest
from rag_pipeline.status.pipeline import PipelineStatus


def refused(ask: Callable[[], None]) -> str:
    with pytest.raises(ControlError) as caught:
        ask()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_pause_holds_from_the_call_on_and_pausing_again_changes_nothing() -> None:
    control = Control()
    control.ask(Action.PAUSE)
    since = control.paused_since
    control.ask(Action.PAUSE)
    assert (control.paused, control.paused_since, control.take()) == (True, since, [])
    control.ask(Action.RESUME)
    control.ask(Action.RESUME)
    assert (control.paused, control.paused_since) == (False, None)


def test_requests_are_taken_once_in_the_order_they_were_made_and_asking_twice_is_asking_once() -> None:
    control = Control()
    for action, file_id in [(Action.CHECK, None), (Action.RETRY, "a"), (Action.CANCEL, "a"), (Action.RETRY, "a")]:
        control.ask(action, file_id)
    assert control.take() == [
        ControlRequest(Action.CHECK),
        ControlRequest(Action.RETRY, "a"),
        ControlRequest(Action.CANCEL, "a"),
    ]
    assert control.take() == []


def test_a_check_of_a_paused_pipeline_is_refused() -> None:
    control = Control()
    control.ask(Action.PAUSE)
    assert refused(lambda: control.ask(Action.CHECK)) == "the pipeline is paused: resume it first"
    control.ask(Action.RETRY, "a")
    assert control.take() == [ControlRequest(Action.RETRY, "a")]


def test_an_action_that_needs_a_file_is_refused_without_and_any_other_with_one() -> None:
    control = Control()
    assert refused(lambda: control.ask(Action.RETRY)) == "retry needs the id of a file"
    assert refused(lambda: control.ask(Action.CANCEL, "")) == "cancel needs the id of a file"
    assert refused(lambda: control.ask(Action.PAUSE, "a")) == "pause is about the whole pipeline, not about a file"


def test_a_pipeline_that_can_do_little_says_what() -> None:
    control = Control([Action.RESUME, Action.PAUSE])
    message = refused(lambda: control.ask(Action.CHECK))
    assert message == "check is not something this pipeline does: it knows pause, resume"


def test_the_pipeline_decides_and_is_woken_by_what_is_granted_only() -> None:
    control = Control()
    woken: list[None] = []
    control.attend(lambda asked: "no file x" if asked.file_id == "x" else None, lambda: woken.append(None))
    assert refused(lambda: control.ask(Action.RETRY, "x")) == "no file x"
    assert woken == []
    control.ask(Action.RETRY, "a")
    control.ask(Action.PAUSE)
    assert len(woken) == 2


def test_what_waits_is_bounded() -> None:
    control = Control()
    for number in range(MAX_WAITING):
        control.ask(Action.RETRY, str(number))
    control.ask(Action.RETRY, "0")  # waits already
    assert f"{MAX_WAITING} requests wait already" in refused(lambda: control.ask(Action.CHECK))
    assert len(control.take()) == MAX_WAITING
    control.ask(Action.CHECK)


def test_nothing_can_be_asked_of_a_pipeline_that_has_ended() -> None:
    control = Control()
    control.ask(Action.PAUSE)
    control.ask(Action.RETRY, "a")
    control.close()
    control.close()
    assert (control.paused, control.take()) == (False, [])
    assert control.actions == frozenset()
    for action, file_id in [(Action.RESUME, None), (Action.CHECK, None), (Action.RETRY, "a")]:
        assert refused(lambda: control.ask(action, file_id)) == "the pipeline has ended"  # noqa: B023


def test_many_threads_can_ask_at_once_and_nothing_is_lost() -> None:
    control = Control()
    taken: list[ControlRequest] = []

    def ask(number: int) -> None:
        for i in range(100):
            control.ask(Action.RETRY, f"{number}-{i}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += control.take()
    taken += control.take()
    assert len(taken) == len(set(taken)) == 800


def test_servers_find_it_through_the_status() -> None:
    status = PipelineStatus("other", f"control-{id(object())}")
    assert status.control is None
    status.control = control = Control([Action.PAUSE])
    assert status.control is control


@given(st.lists(st.tuples(st.sampled_from(Action), st.sampled_from([None, "a", "b"]))))
def test_whatever_is_asked_the_last_word_on_the_pause_counts_and_the_rest_is_taken_once(
    asked: list[tuple[Action, str | None]],
) -> None:
    control = Control()
    paused, expected = False, dict[ControlRequest, None]()
    for action, file_id in asked:
        sensible = (action in NEED_FILE) == (file_id is not None)
        if not sensible or (action is Action.CHECK and paused):
            refused(lambda: control.ask(action, file_id))  # noqa: B023
            continue
        control.ask(action, file_id)
        if action in (Action.PAUSE, Action.RESUME):
            paused = action is Action.PAUSE
        else:
            expected[ControlRequest(action, file_id)] = None
    assert control.paused is paused
    assert control.take() == list(expected)
