"""What a worker does with one entry of the plan, and what is written down of it: the store first, then the ledger."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from typing import NamedTuple

from rag_pipeline import logs
from rag_pipeline.errors import StoreError
from rag_pipeline.pipelines.ingestion import End, Ingestion, Item, Parts, Result
from rag_pipeline.pipelines.ledger import Ledger, Outcome, Row
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.scan import FoundFile, Oddity, current_version

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
RETRY_SECONDS = 5.0
RETRY_FACTOR = 4.0
MAX_RETRY_SECONDS = 3600.0


class Read(NamedTuple):
    """Take a file through the stages."""

    file: FoundFile


class Give(NamedTuple):
    """Give up on a file that is written to all the time."""

    file: FoundFile


class Note(NamedTuple):
    """Show something that can't be read as a file."""

    oddity: Oddity


class Forget(NamedTuple):
    """Take a file that is gone out of the store; ``silent`` for what never was one."""

    file_id: str
    silent: bool


Job = Read | Give | Note | Forget


class Jobs:
    """Does the jobs; ``known`` (rows by file id) and ``stored`` (fingerprints by file id) are protected by ``lock``."""

    def __init__(
        self,
        ingestion: Ingestion,
        parts: Parts,
        ledger: Ledger,
        scope: str,
        known: dict[str, Row],
        stored: dict[str, str],
        *,
        retry: bool,
    ) -> None:
        self.known = known
        self.stored = stored
        self.lock: threading.RLock | nullcontext[None] = nullcontext()
        self.again = False
        self.file_count = 0
        self._ingestion = ingestion
        self._parts = parts
        self._ledger = ledger
        self._scope = scope
        self._retry = retry

    def files_among(self, pending: int) -> int:
        """Return how many of the jobs still pending are files to read; those come last in the plan."""
        return min(pending, self.file_count)

    def do(self, key: str, job: Job) -> None:
        """Do one job; raises StateError if the ledger can't be written."""
        match job:
            case Read(file):
                self._read(file)
            case Give(file):
                message = f"{file.name} is still being written to"
                error = {"type": "StillChanging", "message": message, "stage": "waiting", "retryable": True}
                self._record(_item(file), Result(End.FAILED, error=error))
            case Note(oddity):
                self._note(oddity)
            case Forget(_, silent):
                self._forget(key, silent=silent and key not in self.stored)

    def _read(self, file: FoundFile) -> None:
        item = _item(file)
        result = self._ingestion.work(item, self.stored.get(file.file_id), lambda: current_version(file.path))
        if result.end in (End.CHANGED, End.STOPPED):
            self._ingestion.report(item, result)
            self.again = self.again or result.end is End.CHANGED
        elif result.end is End.GONE:
            if file.file_id in self.known or self._ingestion.is_shown(file.file_id):
                self._forget(file.file_id, silent=False)
        else:
            self._record(item, result)
            self.again = self.again or _has_changed(file)

    def _record(self, item: Item, result: Result) -> None:
        key = item.file_id
        lasting = result.end is End.SKIPPED or (result.end is End.FAILED and not result.retryable)
        # The text of what the file was before is wrong now; while an error may pass, it is better than none.
        if lasting and key in self.stored:
            self._unstore(key)
        if result.fingerprint is not None:
            with self.lock:
                self.stored[key] = result.fingerprint
        self._put(key, self._row(item, result))
        self._ingestion.report(item, result)

    def _row(self, item: Item, result: Result) -> Row:
        recipe = self._parts.recipe
        if result.end in (End.STORED, End.UNCHANGED):
            return Row(item.version, Outcome.STORED, result.fingerprint, recipe)
        assert result.error is not None
        reason = str(result.error["message"])
        if result.end is End.SKIPPED:
            return Row(item.version, Outcome.SKIPPED, None, recipe, 0, reason)
        before = self.known.get(item.file_id)
        attempts = 1 if before is None or before.version != item.version else before.attempts + 1
        retry_at = None
        if self._retry and result.retryable and attempts < MAX_ATTEMPTS:
            retry_at = time.time() + min(MAX_RETRY_SECONDS, RETRY_SECONDS * RETRY_FACTOR ** (attempts - 1))
        return Row(item.version, Outcome.FAILED, None, recipe, attempts, reason, retry_at)

    def _note(self, odd: Oddity) -> None:
        if not odd.is_error and odd.file_id in self.stored:
            self._unstore(odd.file_id)
        self._put(odd.file_id, Row(odd.version, Outcome.ODD, reason=odd.reason))
        self._ingestion.noted(odd.name, odd.file_id, odd.reason, is_error=odd.is_error)

    def _forget(self, key: str, *, silent: bool) -> None:
        if key in self.stored and not self._unstore(key):
            return
        self._ledger.remove(key)
        with self.lock:
            self.known.pop(key, None)
        if not silent:
            self._ingestion.deleted(key.replace("\\\\", "\\"), key)

    def _unstore(self, key: str) -> bool:
        try:
            self._parts.store.delete(self._scope, key)
        except StoreError as error:
            # The row stays as it is, so the next scan asks for it again.
            name = names.display_name(key)
            about = logs.about(self._ingestion.pipeline_id, key)
            logger.warning("%s is gone, but its text is still stored: %s", name, error, extra=about)
            return False
        with self.lock:
            self.stored.pop(key, None)
        return True

    def _put(self, key: str, row: Row) -> None:
        self._ledger.put(key, row)
        with self.lock:
            self.known[key] = row


def _item(file: FoundFile) -> Item:
    return Item(file.file_id, file.name, file.path, names.uri(file.path), file.size, file.mtime_ns / 1e9, file.version)


def _has_changed(file: FoundFile) -> bool:
    try:
        return current_version(file.path) != file.version
    except OSError:
        return True
