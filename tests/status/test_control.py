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


def test_a_pause_takes_effect_at_once_and_repeating_it_changes_nothing() -> None:
    control = Control()
    control.ask(Action.PAUSE)
    since = control.paused_since
    control.ask(Action.PAUSE)
    assert (control.paused, control.paused_since, control.take()) == (True, since, [])
    control.ask(Action.RESUME)
    control.ask(Action.RESUME)
    assert (control.paused, control.paused_since) == (False, None)


def test_requests_are_taken_once_in_order_and_without_duplicates() -> None:
    control = Control()
    for action, file_id in [(Action.CHECK, None), (Action.RETRY, "a"), (Action.POSTPONE, "a"), (Action.RETRY, "a")]:
        control.ask(action, file_id)
    assert control.take() == [
        ControlRequest(Action.CHECK),
        ControlRequest(Action.RETRY, "a"),
        ControlRequest(Action.POSTPONE, "a"),
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
    assert refused(lambda: control.ask(Action.POSTPONE, "")) == "postpone needs the id of a file"
    assert refused(lambda: control.ask(Action.PAUSE, "a")) == "pause is about the whole pipeline: expected no file"


def test_the_error_lists_the_possible_actions() -> None:
    control = Control([Action.RESUME, Action.PAUSE])
    message = refused(lambda: control.ask(Action.CHECK))
    assert message == "this pipeline can't do check; it can do: pause, resume"


def test_the_pipeline_can_refuse_and_is_woken_only_by_accepted_requests() -> None:
    control = Control()
    woken: list[None] = []
    control.attend(lambda asked: "no file x" if asked.file_id == "x" else None, lambda: woken.append(None))
    assert refused(lambda: control.ask(Action.RETRY, "x")) == "no file x"
    assert woken == []
    control.ask(Action.RETRY, "a")
    control.ask(Action.PAUSE)
    assert len(woken) == 2


def test_the_queue_of_requests_is_bounded() -> None:
    control = Control()
    for number in range(MAX_WAITING):
        control.ask(Action.RETRY, str(number))
    control.ask(Action.RETRY, "0")  # is queued already
    assert f"{MAX_WAITING} requests wait already" in refused(lambda: control.ask(Action.CHECK))
    assert len(control.take()) == MAX_WAITING
    control.ask(Action.CHECK)


def test_an_ended_pipeline_refuses_every_request() -> None:
    control = Control()
    control.ask(Action.PAUSE)
    control.ask(Action.RETRY, "a")
    control.close()
    control.close()
    assert (control.paused, control.take()) == (False, [])
    assert control.actions == frozenset()
    for action, file_id in [(Action.RESUME, None), (Action.CHECK, None), (Action.RETRY, "a")]:
        assert refused(lambda: control.ask(action, file_id)) == "the pipeline has ended"  # noqa: B023


def test_requests_of_many_threads_are_not_lost() -> None:
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


def test_servers_find_the_control_through_the_status() -> None:
    status = PipelineStatus("other", f"control-{id(object())}")
    assert status.control is None
    status.control = control = Control([Action.PAUSE])
    assert status.control is control


@given(st.lists(st.tuples(st.sampled_from(Action), st.sampled_from([None, "a", "b"]))))
def test_the_last_pause_or_resume_counts_and_other_requests_are_taken_once(
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


def test_cancel_is_another_name_for_postpone() -> None:
    assert Action("cancel") is Action.POSTPONE
    assert Action.CANCEL.value == "postpone"
    assert Action.parse("cancel") is Action.POSTPONE
    assert Action.parse("stop") is None
    assert "cancel" not in [*Action]
