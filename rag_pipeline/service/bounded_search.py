"""Limits the work of document searches: one at a time, a few more wait, and none is waited for without end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag_pipeline.common import native
from rag_pipeline.common.document_search import DocumentQuery, DocumentSearch
from rag_pipeline.errors import SearchUnavailableError

MOST_AT_ONCE = 8
PATIENCE_SECONDS = 5.0
LIMIT_SECONDS = 20.0
_BUSY = "too many searches at once; try again in a second"

Results = Sequence[Mapping[str, object]]


class BoundedSearch:
    """Runs searches one after the other, each on a thread of its own; any thread may call it.

    A search that takes too long runs on, because a thread can't be ended, and the next one starts after it.
    """

    def __init__(
        self,
        documents: DocumentSearch,
        *,
        most: int = MOST_AT_ONCE,
        patience_seconds: float = PATIENCE_SECONDS,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self._documents = documents
        self._most = most
        self._patience = patience_seconds
        self._limit = limit_seconds
        self._inside = 0
        self._lock = native.allocate_lock()  # protects the count
        self._turn = native.allocate_lock()  # held by the search that runs

    def search(self, query: DocumentQuery) -> Results:
        """Return the results; raises SearchUnavailableError if that takes too long, or what the search raises."""
        with self._lock:
            if self._inside >= self._most:
                raise SearchUnavailableError(_BUSY)
            self._inside += 1
        try:
            if not self._turn.acquire(timeout=self._patience):
                raise SearchUnavailableError(_BUSY)
            return self._run(query)
        finally:
            with self._lock:
                self._inside -= 1

    def _run(self, query: DocumentQuery) -> Results:
        """Search on another thread, which ends the turn."""
        outcome: list[Results | BaseException] = []
        done = native.Future()

        def work() -> None:
            try:
                outcome.append(self._documents.search(query))
            except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
                outcome.append(error)
            finally:
                self._turn.release()
                done.set()

        try:
            native.start_thread(work, "search")
        except RuntimeError:  # the system allows no more threads
            self._turn.release()
            raise SearchUnavailableError(_BUSY) from None
        if not done.wait(self._limit):
            raise SearchUnavailableError(f"the search takes longer than {self._limit:g} seconds; try again later")
        [result] = outcome
        if isinstance(result, BaseException):
            raise result
        return result
