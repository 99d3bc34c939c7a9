"""Reads from a journal within a byte limit, on top of reads that are limited by count only."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipeline.journal.base import Entry
from rag_pipeline.journal.weight import weigh

Read = Callable[[int, int, str], list[Entry]]

FIRST_EVENTS = 64
"""The first read. The size of its events decides the length of the next."""


def read_bounded(read: Read, after: int, limit: int, limit_bytes: int, namespace: str) -> tuple[list[Entry], bool]:
    """Return events after the position, and whether there are no more.

    Reads at most ``limit`` events, and stops after the one that reaches ``limit_bytes``; so it returns at least one.
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
