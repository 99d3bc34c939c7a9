"""The log of changes of a user or a shared drive: each thing once, at the place of its latest change.

What a change says is the state when it is read, not when it was made; a newer change of the same thing takes the place
of the older one, even while a client is between two pages.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.drive.refusals import RefusalError, invalid


class Entry(NamedTuple):
    """That something changed: its id, its place in the log, and when."""

    subject: str
    number: int
    time: float


class Feed:
    """One log, and its page tokens, which are opaque: base64 of the feed's name, a number, and a generation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._entries: dict[str, Entry] = {}
        self._last = 0
        self._generation = 0

    def record(self, subject: str) -> None:
        """Put a change at the end of the log."""
        self._last += 1
        self._entries.pop(subject, None)
        self._entries[subject] = Entry(subject, self._last, time.time())

    def after(self, number: int) -> Iterator[Entry]:
        """Yield all changes with higher numbers, in order."""
        return (entry for entry in self._entries.values() if entry.number > number)

    def token(self, number: int | None = None) -> str:
        """Return a token for the changes after this number; of all that are to come if there is none."""
        known = f"{self.name} {self._last if number is None else number} {self._generation}"
        return base64.urlsafe_b64encode(known.encode()).decode().rstrip("=")

    def number_of(self, token: str, gone_status: int) -> int:
        """Return the number in a token; raise RefusalError if it is not of this feed, or not accepted any more."""
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
        """Accept none of the tokens that were given out."""
        self._generation += 1


def token_gone(status: int) -> RefusalError:
    """Return the refusal of a token that was good once: 410, or 400 as for one that never was."""
    if status == 400:
        return invalid("pageToken")
    return RefusalError(status, "gone", "The page token is no longer valid.", location="pageToken")
