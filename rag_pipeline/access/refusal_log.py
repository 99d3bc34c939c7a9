"""Refused tokens in the log: one line a minute with the address, never the token."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rag_pipeline.access.decision import Code, Refusal
from rag_pipeline.common.throttled_log import ThrottledLog, shown

logger = logging.getLogger("rag_pipeline.access")

_NO_ATTEMPT = (Code.TOKEN_MISSING, Code.KEYS_UNAVAILABLE)
"""A page that was not given its token yet, and tokens that are not decided about."""


class RefusalLog:
    """Shared by both ports; any thread may call it."""

    def __init__(self) -> None:
        self._log = ThrottledLog(logger)

    def note(self, refusal: Refusal, address: Callable[[], str], forwarded_for: str | None = None) -> None:
        """Log the refusal; ``forwarded_for`` is what a proxy says of the client, which anyone else could say too."""
        if refusal.code in _NO_ATTEMPT:
            return

        def message() -> str:
            behind = f" (X-Forwarded-For: {shown(forwarded_for)})" if forwarded_for else ""
            return f"a token from {address()}{behind} is refused: {refusal.code}"

        self._log.warn(message)
