"""JWKS client: refreshes the key set in the background, so lookups never block.

An unknown key triggers a refresh, because keys are rotated; at most once in :data:`COOLDOWN_SECONDS`, because anyone
can send a token with any key id. While refreshes fail, the last key set stays valid.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from rag_pipeline.access.decision import INVALID, AccessRefusal, RefusalCode
from rag_pipeline.access.keys import KeySet, VerifyingKey, read_key_set
from rag_pipeline.common import native
from rag_pipeline.common.http_get import fetch

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 15.0
COOLDOWN_SECONDS = 10.0
FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 1 << 20
START_SECONDS = 2.0
STOP_SECONDS = 0.5

PENDING = AccessRefusal(
    RefusalCode.KEYS_UNAVAILABLE, "the keys that verify tokens are being fetched; try again", pending=True
)
UNAVAILABLE = AccessRefusal(
    RefusalCode.KEYS_UNAVAILABLE, "the keys that verify tokens are not available now; try again later"
)

logger = logging.getLogger("rag_pipeline.access")


class JwksClient:
    """Keeps a key set up to date on a thread of its own; thread-safe.

    ``get`` returns the document, or raises OSError or ValueError with a text for the log.
    """

    def __init__(
        self, url: str, *, get: Callable[[], bytes] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = "{0.scheme}://{0.netloc}".format(urlsplit(url))  # the rest may be secret
        self._get = get or (lambda: fetch(url, timeout_seconds=FETCH_SECONDS, limit_bytes=MAX_DOCUMENT_BYTES))
        self._clock = clock
        self._lock = native.allocate_lock()  # protects the next four
        self._keys = KeySet({})
        self._fetching = True  # the first fetch starts with the thread
        self._failing = False
        self._fetched_at = clock()
        self._refresh_wanted = native.AutoResetEvent()
        self._first_done = native.Future()
        self._stopping = False
        self._thread: native.NativeThread | None = None

    def start(self) -> None:
        """Start the thread, and wait a moment for the first key set, so that the first clients are not refused."""
        self._thread = native.start_thread(self._run, "rag-pipeline-jwks")
        self._first_done.wait(START_SECONDS)

    def stop(self) -> None:
        """Stop the thread; one that waits for an answer ends after it. Idempotent."""
        self._stopping = True
        self._refresh_wanted.signal()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | AccessRefusal:
        """Return the key for a token with this header, or the refusal."""
        with self._lock:
            found = self._keys.find(header)
            if isinstance(found, VerifyingKey):
                return found
            if not self._fetching and self._clock() - self._fetched_at >= COOLDOWN_SECONDS:
                self._fetching = True
                self._refresh_wanted.signal()
            if self._fetching:
                return PENDING
            return UNAVAILABLE if self._failing else INVALID

    def refresh(self) -> None:
        """Fetch the key set; a lasting failure is logged once."""
        with self._lock:
            self._fetching = True
        keys, problem = self._fetch()
        with self._lock:
            began_failing = problem is not None and not self._failing
            recovered = problem is None and self._failing
            self._keys = self._keys if keys is None else keys
            self._failing = problem is not None
            self._fetching = False
            self._fetched_at = self._clock()
        if began_failing:
            logger.warning(
                "fetching the keys at %s failed: %s; trying again, the %d known keys stay valid",
                *(self._name, problem, len(self._keys)),
            )
        elif recovered:
            logger.warning("fetching the keys at %s works again", self._name)

    def _fetch(self) -> tuple[KeySet | None, str | None]:
        try:
            return read_key_set(self._get()), None
        except OSError as error:
            return None, error.strerror or str(error) or type(error).__name__
        except ValueError as error:
            return None, str(error)
        except Exception as error:
            logger.exception("fetching the keys failed")
            return None, type(error).__name__

    def _run(self) -> None:
        while not self._stopping:
            self.refresh()
            self._first_done.set()
            self._refresh_wanted.wait(RETRY_SECONDS if self._failing else REFRESH_SECONDS)
