from __future__ import annotations

from rag_pipeline.common import native
from rag_pipeline.journal.redis.backoff import LONGEST_SECONDS, REFUSED_SECONDS, Pause


def test_pauses_double_up_to_a_bound_and_begin_with_the_shortest_again() -> None:
    pause = Pause()
    seen = []
    for _ in range(7):
        pause.longer()
        seen.append(round(pause.seconds, 6))
    assert seen == [0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_SECONDS, LONGEST_SECONDS]
    pause.reset()
    pause.longer()
    assert pause.seconds == 0.1


def test_a_pause_that_was_ended_and_every_later_one_is_over_at_once() -> None:
    pause = Pause()
    pause.seconds = 3600.0
    waited = native.Future()

    def wait_twice() -> None:
        pause.wait()
        pause.wait()
        waited.set()

    native.start_thread(wait_twice, "waits")
    pause.end()
    assert waited.wait(30)


def test_after_a_refusal_the_pause_is_long_at_once() -> None:
    pause = Pause()
    pause.longer(refused=True)
    assert pause.seconds == REFUSED_SECONDS
    pause.longer()
    assert pause.seconds == LONGEST_SECONDS
