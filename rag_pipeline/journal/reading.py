"""Reading a stretch of a journal within a bound of bytes, through calls that know counts alone."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipeline.journal.base import Entry
from rag_pipeline.journal.weight import weigh

Read = Callable[[int, int, str], list[Entry]]

FIRST_EVENTS = 64
"""Read to learn how large events are here: what follows is read by that."""


def read_within(read: Read, after: int, limit: int, limit_bytes: int, namespace: str) -> tuple[list[Entry], bool]:
    """Return events after the position, and whether those are all there is.

    At most ``limit`` of them, and no more once they have ``limit_bytes`` together; but one at least.
    """
    found: list[Entry] = []
    size = 0
    count = min(FIRST_EVENTS, limit)
    while len(found) < limit and size < limit_bytes:
        part = read(after, count, namespace)
        for entry in part:
            found.append(entry)
            size += weigh(entry)
            if size >= limit_bytes and entry is not part[-1]:
                return found, False
        if len(part) < count:
            return found, True
        after = part[-1].position
        count = max(1, min(limit - len(found), (limit_bytes - size) * len(found) // max(1, size)))
    return found, False
