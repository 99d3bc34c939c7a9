"""Logs outages of Redis: one line when it goes away, one when it is back, whichever part notices first."""

from __future__ import annotations

import logging

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.connection import ConnectionLostError, is_refusal
from rag_pipeline.journal.redis.retry import REFUSED_SECONDS

logger = logging.getLogger("rag_pipeline.journal")


class OutageLog:
    """Shared by the parts of a process that have their own connections; any thread may call it."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._lock = native.allocate_lock()  # protects what follows
        self._failing: set[object] = set()
        self._logged = False
        self._refusal_logged = False

    def failed(self, part: object, error: JournalError) -> None:
        """Note a failure. A lost connection is logged at the second attempt: reconnecting often works at once."""
        refused = is_refusal(error)
        with self._lock:
            if refused:
                logs = not self._refusal_logged
                self._refusal_logged = True
            else:
                logs = not self._logged and (part in self._failing or not isinstance(error, ConnectionLostError))
            self._failing.add(part)
            self._logged = self._logged or logs
        if logs and refused:
            logger.error("%s; retried every %g s, and clients stay connected", error, REFUSED_SECONDS)
        elif logs:
            logger.warning("%s; retrying, and clients stay connected", error)

    def recovered(self, part: object) -> None:
        """Note a success after failures; Redis is back once no part fails any more."""
        with self._lock:
            self._failing.discard(part)
            logs = self._logged and not self._failing
            self._logged = self._logged and not logs
            self._refusal_logged = self._refusal_logged and not logs
        if logs:
            logger.warning("Redis at %s is back", self._address)
