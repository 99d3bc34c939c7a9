"""What is said of a Redis that is away: once that it has gone, and once that it is back, whoever notices."""

from __future__ import annotations

import logging

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.backoff import REFUSED_SECONDS
from rag_pipeline.journal.redis.connection import ConnectionLostError, is_refusal

logger = logging.getLogger("rag_pipeline.journal")


class Outage:
    """Shared by those of a process that have connections of their own; any thread may call it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = native.allocate_lock()  # protects what follows
        self._failing: set[object] = set()
        self._told = False
        self._refusal_told = False

    def failed(self, who: object, error: JournalError) -> None:
        """Note a failure: a connection that is lost is often had anew at once, so that is told with the second one."""
        refused = is_refusal(error)
        with self._lock:
            if refused:
                tells = not self._refusal_told
                self._refusal_told = True
            else:
                tells = not self._told and (who in self._failing or not isinstance(error, ConnectionLostError))
            self._failing.add(who)
            self._told = self._told or tells
        if tells and refused:
            logger.error("%s; it is tried every %g s, and clients stay connected", error, REFUSED_SECONDS)
        elif tells:
            logger.warning("%s; it is tried again, and clients stay connected", error)

    def recovered(self, who: object) -> None:
        """Note a success after failures: it is back when no one fails any more."""
        with self._lock:
            self._failing.discard(who)
            tells = self._told and not self._failing
            self._told = self._told and not tells
            self._refusal_told = self._refusal_told and not tells
        if tells:
            logger.warning("Redis at %s is back", self._address)
