"""When to try again after Redis failed."""

from __future__ import annotations

from rag_pipeline.common.backoff import Backoff
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import is_refusal

FIRST_SECONDS = 0.1
LIMIT_SECONDS = 2.0
REFUSED_SECONDS = 10.0
"""The delay after a refusal: somebody has to change something first."""


def new_backoff() -> Backoff:
    """Return a backoff for attempts to reach Redis."""
    return Backoff(FIRST_SECONDS, LIMIT_SECONDS)


def delay_after(error: JournalError, backoff: Backoff) -> float:
    """Return the seconds to wait after the error."""
    if not is_refusal(error):
        return backoff.delay()
    backoff.skip_to_limit()
    return REFUSED_SECONDS
