from __future__ import annotations

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import ConnectionLostError, RedisRefusedError
from rag_pipeline.journal.redis.retry import LIMIT_SECONDS, REFUSED_SECONDS, delay_after, new_backoff

LOST = ConnectionLostError("Redis can't be reached")


def test_delays_double_up_to_a_limit_and_start_over_after_a_success() -> None:
    backoff = new_backoff()
    delays = [round(delay_after(LOST, backoff), 6) for _ in range(7)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, LIMIT_SECONDS, LIMIT_SECONDS]
    backoff.reset()
    assert delay_after(LOST, backoff) == 0.1


def test_the_delay_after_a_refusal_is_long_at_once() -> None:
    for refusal in (RedisRefusedError("a command was refused"), JournalError("the login was refused")):
        backoff = new_backoff()
        assert delay_after(refusal, backoff) == REFUSED_SECONDS
        assert delay_after(LOST, backoff) == LIMIT_SECONDS
