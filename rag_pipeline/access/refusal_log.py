"""Logs refused tokens: at most one line a minute, with the address and never with the token."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rag_pipeline.access.decision import AccessRefusal, RefusalCode
from rag_pipeline.common.throttled_log import ThrottledLog, quoted

logger = logging.getLogger("rag_pipeline.access")

_NO_ATTEMPT = (RefusalCode.TOKEN_MISSING, RefusalCode.KEYS_UNAVAILABLE)
"""A page that was not given its token yet, and tokens that were not checked."""


class RefusalLog:
    """The log of both ports; thread-safe."""

    def __init__(self) -> None:
        self._log = ThrottledLog(logger)

    def note(self, refusal: AccessRefusal, address: Callable[[], str], forwarded_for: str | None = None) -> None:
        """Log the refusal. ``forwarded_for`` comes from a proxy, or from a client that pretends to be one."""
        if refusal.code in _NO_ATTEMPT:
            return

        def message() -> str:
            behind = f" (X-Forwarded-For: {quoted(forwarded_for)})" if forwarded_for else ""
            return f"a token from {address()}{behind} is refused: {refusal.code}"

        self._log.warn(message)
