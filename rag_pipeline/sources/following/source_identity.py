"""Checks that the source is still the folder that the pipeline's state belongs to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext

from rag_pipeline.errors import StateError
from rag_pipeline.sources.following.plan import all_missing
from rag_pipeline.sources.ledger import Ledger, LedgerRow, SourceRecord
from rag_pipeline.sources.source import Snapshot, SourceUnavailableError


class SourceIdentity:
    """The source that the ledger has recorded; raises StateError if the collection belongs to another location."""

    def __init__(self, ledger: Ledger, collection: str, location: str) -> None:
        self._ledger = ledger
        self._location = location
        self._recorded = ledger.source()
        if self._recorded is not None and self._recorded.location != location:
            raise StateError(
                f"{ledger.folder} keeps {collection!r} for {self._recorded.location}, not for {location}: "
                "choose another id for the pipeline, or another state folder"
            )

    def check(
        self, snapshot: Snapshot, rows: Mapping[str, LedgerRow], lock: threading.RLock | nullcontext[None]
    ) -> bool:
        """Record the snapshot's identity; return whether another folder is at the location now.

        Raises :class:`SourceUnavailableError` if nothing was found and the folder is another one, or, after the ledger
        was lost, may be another one: an empty mount point looks like this. If the folder is the same and empty, its
        files were deleted. ``lock`` protects ``rows``.
        """
        recorded = self._recorded
        if recorded is not None and recorded.identity == snapshot.identity:
            return False
        with lock:
            if all_missing(rows, snapshot):
                reason = "is not the one seen before and is empty" if recorded else "is empty, with files of it stored"
                raise SourceUnavailableError(f"the folder {reason} (not mounted?): nothing is taken for deleted")
        self._recorded = SourceRecord(self._location, snapshot.identity)
        self._ledger.set_source(self._recorded)
        return recorded is not None
