"""The files in flight, and finding one by name or id. Pure: no lock, no clock."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from rag_pipeline.status.model import FileRecord, FileWarning

Key = tuple[str, str]
MAX_SHOWN = 100
MAX_ATTEMPTS_REMEMBERED = 10_000


def key_of(name: str, file_id: str | None) -> Key:
    """Return the identity of a file: its id, or its name if it has no id."""
    return ("name", name) if file_id is None else ("id", file_id)


class FileInFlight:
    """One start of a file: its record, and monotonic times.

    ``sent`` is when its last progress went out, ``due`` when held-back progress goes out, ``entered`` when its stage
    began; each is None if there was none. ``warnings`` are those so far; only a completed file shows them.
    """

    __slots__ = ("due", "entered", "record", "sent", "started", "warnings")

    def __init__(self, record: FileRecord, started: float, sent: float | None) -> None:
        self.record = record
        self.started = started
        self.sent = sent
        self.due: float | None = None
        self.entered: float | None = None
        self.warnings: tuple[FileWarning, ...] = ()


class FilesInFlight:
    """The files in flight in the order of their start, and the attempts of failed files.

    Every call takes constant time. Repeating a change does nothing.
    """

    def __init__(self) -> None:
        self._files: dict[Key, FileInFlight] = {}
        self._by_name: dict[str, dict[Key, None]] = {}
        self._failed_attempts: OrderedDict[Key, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, key: Key) -> FileInFlight:
        return self._files[key]

    def __contains__(self, key: Key) -> bool:
        return key in self._files

    def get(self, key: Key) -> FileInFlight | None:
        """Return the file in flight, None if it is not."""
        return self._files.get(key)

    def find(self, name: str, file_id: str | None) -> Key | None:
        """Return the key of the file in flight with this id or name, None if there is none.

        With an id, it is the file of that id, else the file started under the name without an id, whose id became known
        later. Without one, it is the file started under the name without an id, else the first started of that name.
        """
        key = key_of(name, file_id)
        if key in self._files:
            return key
        if file_id is not None:
            unnamed = ("name", name)
            return unnamed if unnamed in self._files else None
        return next(iter(self._by_name.get(name, ())), None)

    def start(self, key: Key, file: FileInFlight) -> None:
        """Put a file in flight, last in order."""
        former = self._files.get(key)
        if former is not None:
            self.discard(key, former.record.name)
        self._files[key] = file
        self._by_name.setdefault(file.record.name, {})[key] = None

    def discard(self, key: Key, name: str) -> None:
        """Take a file out of flight; ``name`` is the name it was started under."""
        names = self._by_name.get(name)
        if names is not None:
            names.pop(key, None)
            if not names:
                self._by_name.pop(name, None)
        self._files.pop(key, None)

    def newest(self) -> tuple[FileRecord, ...]:
        """Return the 100 files started last, in the order they were started."""
        records = [file.record for file in islice(reversed(self._files.values()), MAX_SHOWN)]
        records.reverse()
        return tuple(records)

    def next_attempt(self, key: Key) -> int:
        """Return 1, or one more than the last attempt if that one failed or is still in flight."""
        running = self._files.get(key)
        last = self._failed_attempts.get(key, 0) if running is None else running.record.attempt
        return last + 1

    def remember_failure(self, key: Key, attempt: int) -> None:
        """Keep the number of a failed attempt; beyond 10,000 files the oldest are forgotten."""
        self._failed_attempts[key] = attempt
        self._failed_attempts.move_to_end(key)
        if len(self._failed_attempts) > MAX_ATTEMPTS_REMEMBERED:
            self._failed_attempts.popitem(last=False)

    def failed_ids(self) -> frozenset[str]:
        """Return the ids of the files whose last attempt failed."""
        return frozenset([text for kind, text in self._failed_attempts if kind == "id"])

    def forget_failures(self, key: Key) -> None:
        """Forget the failed attempts of a file that is done or gone: its next attempt is the first again."""
        self._failed_attempts.pop(key, None)
