"""Keys that who signs publishes at an address: fetched in the background, so that no one who asks for one waits.

A token whose key is unknown has the set fetched anew, since keys are rotated, but not more than once in
:data:`COOLDOWN_SECONDS`, since strangers can name any key. The last set that was had is kept while none can be.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from rag_pipeline.access.decision import INVALID, Code, Refusal
from rag_pipeline.access.fetch import fetch
from rag_pipeline.access.keys import KeySet, VerifyingKey, read_key_set
from rag_pipeline.common import native

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 15.0
COOLDOWN_SECONDS = 10.0
FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 1 << 20
START_SECONDS = 2.0
STOP_SECONDS = 0.5

PENDING = Refusal(
    Code.KEYS_UNAVAILABLE, "the keys that tokens are signed with are being fetched; try again", pending=True
)
UNAVAILABLE = Refusal(Code.KEYS_UNAVAILABLE, "the keys that tokens are signed with can't be had now; try again later")

logger = logging.getLogger("rag_pipeline.access")


class Jwks:
    """A key set that is kept up to date by a thread of its own; any thread may ask.

    ``get`` returns the document; it raises OSError or ValueError, whose words end up in the log.
    """

    def __init__(
        self, url: str, *, get: Callable[[], bytes] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = "{0.scheme}://{0.netloc}".format(urlsplit(url))  # what follows may be secret
        self._get = get or (lambda: fetch(url, timeout_seconds=FETCH_SECONDS, limit_bytes=MAX_DOCUMENT_BYTES))
        self._clock = clock
        self._lock = native.allocate_lock()  # protects the four that follow
        self._keys = KeySet({})
        self._fetching = True  # from the beginning: the first fetch is on its way
        self._failing = False
        self._fetched_at = clock()
        self._wanted = native.AutoResetEvent()
        self._first = native.Future()
        self._stopping = False
        self._thread: native.NativeThread | None = None

    def start(self) -> None:
        """Begin to fetch; give the first set a moment to come, so that the first clients are not turned away."""
        self._thread = native.start_thread(self._run, "rag-pipeline-jwks")
        self._first.wait(START_SECONDS)

    def stop(self) -> None:
        """End the thread, unless it waits for an answer: then it ends after that. Idempotent."""
        self._stopping = True
        self._wanted.signal()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | Refusal:
        """Return the key for a token with this header, or why there is none."""
        with self._lock:
            found = self._keys.find(header)
            if isinstance(found, VerifyingKey):
                return found
            if not self._fetching and self._clock() - self._fetched_at >= COOLDOWN_SECONDS:
                self._fetching = True
                self._wanted.signal()
            if self._fetching:
                return PENDING
            return UNAVAILABLE if self._failing else INVALID

    def refresh(self) -> None:
        """Fetch the set; a failure that lasts is logged once."""
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
                "the keys at %s can't be had, and are tried again: %s; the %d known ones stay good",
                *(self._name, problem, len(self._keys)),
            )
        elif recovered:
            logger.warning("the keys at %s can be had again", self._name)

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
            self._first.set()
            self._wanted.wait(RETRY_SECONDS if self._failing else REFRESH_SECONDS)
