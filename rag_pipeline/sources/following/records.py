"""The rows of all files in memory, written through to the ledger, and the fingerprints that the store has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from rag_pipeline.sources.ledger import EventPosition, Ledger, LedgerRow


class Records:
    """The rows and stored fingerprints of all files. ``lock`` protects all fields.

    rows: ledger rows by file id.
    stored: fingerprints in the store, by file id.
    unreported: names, by id, of files whose outcome the status does not show, because the last process died.

    Each writing call is one transaction of the ledger, which is written before the fields. Raises StateError.
    """

    def __init__(
        self,
        ledger: Ledger,
        rows: dict[str, LedgerRow],
        stored: dict[str, str],
        unreported: dict[str, str],
        lock: AbstractContextManager[object],
    ) -> None:
        self.rows = rows
        self.stored = stored
        self.unreported = unreported
        self.lock = lock
        self._ledger = ledger
        self._by_fingerprint: dict[str, dict[str, None]] = {}
        for key, fingerprint in stored.items():
            self._by_fingerprint.setdefault(fingerprint, {})[key] = None

    def with_content(self, fingerprint: str) -> Iterable[str]:
        """Return the ids of the stored files with this fingerprint; the lock is held."""
        return self._by_fingerprint.get(fingerprint, ())

    def set_stored(self, fingerprints: Mapping[str, str | None]) -> None:
        """Set the stored fingerprints of these files; None for files that are not stored."""
        with self.lock:
            for key, fingerprint in fingerprints.items():
                self._set_stored(key, fingerprint)

    def put(self, key: str, row: LedgerRow) -> None:
        """Set the row of a file; its outcome counts as not reported."""
        self._ledger.put(key, row)
        with self.lock:
            self.rows[key] = row

    def remove(self, names: Mapping[str, str]) -> None:
        """Remove files, given as names by id; their deletion counts as not reported."""
        self._write({}, names)
        with self.lock:
            self._change({}, names)

    def record_reuse(self, rows: Mapping[str, LedgerRow], moved: Mapping[str, str]) -> None:
        """Set the rows of files that reused stored text, and remove those that moved, given as names by id.

        This is one step for :meth:`with_content`: at any moment the old or the new file has the content, with a row.
        If the ledger fails, the rows get no version, as after a restart, so that the next scan repeats them.
        """
        fingerprints = {**dict.fromkeys(moved), **{key: row.fingerprint for key, row in rows.items()}}
        try:
            self._write(rows, moved)
        except BaseException:
            with self.lock:
                self._change({key: row._replace(version=None) for key, row in rows.items()}, {})
                self.set_stored(fingerprints)
            raise
        with self.lock:
            self._change(rows, moved)
            self.set_stored(fingerprints)

    def mark_reported(self, keys: Iterable[str], deleted: Iterable[str], at: EventPosition) -> None:
        """Record that the status shows the outcomes of ``keys`` and the deletions of ``deleted``."""
        keys, deleted = list(keys), list(deleted)
        with self._ledger.transaction():
            for key in keys:
                self._ledger.mark_reported(key, at)
            for key in deleted:
                self._ledger.mark_deletion_reported(key, at)
        with self.lock:
            for key in (*keys, *deleted):
                self.unreported.pop(key, None)

    def name_of(self, key: str, other_names: Mapping[str, str]) -> str:
        """Return the file's last name: from its row, else from ``other_names``, else its id."""
        row = self.rows.get(key)
        return (row and row.name) or other_names.get(key) or key

    def _write(self, rows: Mapping[str, LedgerRow], removed: Mapping[str, str]) -> None:
        with self._ledger.transaction():
            for key, row in rows.items():
                self._ledger.put(key, row)
            for key, name in removed.items():
                self._ledger.remove(key, name)

    def _change(self, rows: Mapping[str, LedgerRow], removed: Iterable[str]) -> None:
        """Change the rows in memory; the lock is held."""
        self.rows.update(rows)
        for key in removed:
            self.rows.pop(key, None)

    def _set_stored(self, key: str, fingerprint: str | None) -> None:
        before = self.stored.pop(key, None)
        if before is not None and (keys := self._by_fingerprint.get(before)) is not None:
            keys.pop(key, None)
            if not keys:
                del self._by_fingerprint[before]
        if fingerprint is not None:
            self.stored[key] = fingerprint
            self._by_fingerprint.setdefault(fingerprint, {})[key] = None
