"""Which place a pipeline's state belongs to, and whether it still is the one that is seen."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext

from rag_pipeline.errors import StateError
from rag_pipeline.sources.following.plan import all_gone
from rag_pipeline.sources.following.source import Found, SourceUnavailableError
from rag_pipeline.sources.ledger import Ledger, Row, Source


class Place:
    """The place of a scope, as the ledger has it; raises StateError if it has another place under that scope."""

    def __init__(self, ledger: Ledger, scope: str, place: str) -> None:
        self._ledger = ledger
        self._place = place
        self._before = ledger.source()
        if self._before is not None and self._before.place != place:
            raise StateError(
                f"{ledger.folder} keeps {scope!r} for {self._before.place}, not for {place}: "
                "choose another id for the pipeline, or another state folder"
            )

    def confirm(self, found: Found, known: Mapping[str, Row], lock: threading.RLock | nullcontext[None]) -> bool:
        """Take what was found for this place's; return whether something else has taken the place of what was there.

        Raises :class:`SourceUnavailableError` if there is nothing in it, and it is something else or, after the ledger
        was lost, can't be told from something else. That is what a mount point looks like when nothing is mounted on
        it. In the same folder as ever, nothing means that the files were deleted. ``lock`` protects ``known``.
        """
        before = self._before
        if before is not None and before.identity == found.identity:
            return False
        with lock:
            if all_gone(known, found):
                about = "is not the one seen before and is empty" if before else "is empty, with files of it stored"
                raise SourceUnavailableError(f"the folder {about} (not mounted?): nothing is taken for deleted")
        self._before = Source(self._place, found.identity)
        self._ledger.set_source(self._before)
        return before is not None
