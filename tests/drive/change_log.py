"""The log of changes of a user or a shared drive: each item once, at its latest change.

A change shows the state when it is read, not when it was made. A newer change of the same item replaces
the older one, even while a client is between two pages.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.drive.api_errors import ApiError, invalid


class LogEntry(NamedTuple):
    """A change: the item's id, the position in the log, and the time."""

    subject: str
    number: int
    time: float


class ChangeLog:
    """A log and its page tokens: base64 of the log's name, a number and a generation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._entries: dict[str, LogEntry] = {}
        self._last = 0
        self._generation = 0

    def record(self, subject: str) -> None:
        """Append a change."""
        self._last += 1
        self._entries.pop(subject, None)
        self._entries[subject] = LogEntry(subject, self._last, time.time())

    def after(self, number: int) -> Iterator[LogEntry]:
        """Yield all later changes in order."""
        return (entry for entry in self._entries.values() if entry.number > number)

    def token(self, number: int | None = None) -> str:
        """Return a token for the changes after this number, by default for all future ones."""
        known = f"{self.name} {self._last if number is None else number} {self._generation}"
        return base64.urlsafe_b64encode(known.encode()).decode().rstrip("=")

    def number_of(self, token: str, gone_status: int) -> int:
        """Return the number in a token; raise ApiError if it belongs to another log or has expired."""
        try:
            padded = token + "=" * (-len(token) % 4)
            name, number, generation = base64.urlsafe_b64decode(padded).decode().rsplit(" ", 2)
        except ValueError:
            raise invalid("pageToken") from None
        if name != self.name:
            raise invalid("pageToken")
        if int(generation) != self._generation:
            raise token_gone(gone_status)
        return int(number)

    def expire_tokens(self) -> None:
        """Expire all tokens."""
        self._generation += 1


def token_gone(status: int) -> ApiError:
    """Return the error for an expired token: 410, or 400 as for an invalid one."""
    if status == 400:
        return invalid("pageToken")
    return ApiError(status, "gone", "The page token is no longer valid.", location="pageToken")
