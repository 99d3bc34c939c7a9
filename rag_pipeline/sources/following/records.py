"""What is known of each file: its row, which is in the ledger too, and what the store has of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from rag_pipeline.sources.ledger import Ledger, Reported, Row


class Records:
    """The rows and stored fingerprints of all files. ``lock`` protects all fields.

    known: rows by file id.
    stored: fingerprints of what the store has, by file id.
    unreported: names, by id, of the files whose outcome the status does not show since the last process ended too
    early.
    Each call that writes is one transaction of the ledger, which comes before the fields. Raises StateError.
    """

    def __init__(
        self,
        ledger: Ledger,
        known: dict[str, Row],
        stored: dict[str, str],
        unreported: dict[str, str],
        lock: AbstractContextManager[object],
    ) -> None:
        self.known = known
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
        """Note what the store has of these files, None for nothing."""
        with self.lock:
            for key, fingerprint in fingerprints.items():
                self._set_stored(key, fingerprint)

    def put(self, key: str, row: Row) -> None:
        """Set the row of a file; its outcome is not reported yet."""
        self._ledger.put(key, row)
        with self.lock:
            self.known[key] = row

    def change(self, rows: Mapping[str, Row], gone: Mapping[str, str]) -> None:
        """Set rows, and forget the files that are gone, given with their names; neither is reported yet."""
        self._write(rows, gone)
        with self.lock:
            self._change(rows, gone)

    def took_over(self, rows: Mapping[str, Row], moved: Mapping[str, str]) -> None:
        """Set the rows of files whose texts were taken over in the store, and forget those that have moved.

        One step for whoever looks for a content: at any moment the old or the new file has it, with a row. If the
        ledger fails, the rows have no version, as after a restart, so that the next look comes back to them.
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

    def reported(self, keys: Iterable[str], gone: Iterable[str], at: Reported) -> None:
        """Note that the status shows what became of these files, and that those that are gone are."""
        keys, gone = list(keys), list(gone)
        with self._ledger.batch():
            for key in keys:
                self._ledger.reported(key, at)
            for key in gone:
                self._ledger.reported_deleted(key, at)
        with self.lock:
            for key in (*keys, *gone):
                self.unreported.pop(key, None)

    def name_of(self, key: str, unended: Mapping[str, str]) -> str:
        """Return the name that a file had."""
        row = self.known.get(key)
        return (row and row.name) or unended.get(key) or key

    def _write(self, rows: Mapping[str, Row], gone: Mapping[str, str]) -> None:
        with self._ledger.batch():
            for key, row in rows.items():
                self._ledger.put(key, row)
            for key, name in gone.items():
                self._ledger.remove(key, name)

    def _change(self, rows: Mapping[str, Row], gone: Iterable[str]) -> None:
        """Set the rows; the lock is held."""
        self.known.update(rows)
        for key in gone:
            self.known.pop(key, None)

    def _set_stored(self, key: str, fingerprint: str | None) -> None:
        before = self.stored.pop(key, None)
        if before is not None and (keys := self._by_fingerprint.get(before)) is not None:
            keys.pop(key, None)
            if not keys:
                del self._by_fingerprint[before]
        if fingerprint is not None:
            self.stored[key] = fingerprint
            self._by_fingerprint.setdefault(fingerprint, {})[key] = None
