"""The newest outcome of every file that a pipeline ever had, in 8 to 24 bytes a file, however long its name."""

from __future__ import annotations

from array import array
from collections.abc import Hashable

NONE, PROCESSED, FAILED, SKIPPED, DELETED, WARNED = range(6)
"""Outcomes of a file's newest attempt, in the order of the totals; NONE for a new file and for one in flight.

WARNED is the outcome, in the table and the totals, of a file that completed with warnings; PROCESSED everywhere else.

Plain numbers: hashing an enum member costs more than the whole look-up, and every file event makes several look-ups.
"""

YOUNG = 1 << 15
_SHARDS = 256  # this and the size of a shard are powers of 2
_SMALLEST = 16
_CODE_BITS = 3
_CODE_MASK = (1 << _CODE_BITS) - 1
_HASH_MASK = (1 << 64) - 1 - _CODE_MASK
_MOVES = 2


def kind_of(outcome: int) -> int:
    """Return the outcome, PROCESSED for WARNED."""
    return PROCESSED if outcome == WARNED else outcome


class OutcomeTable:
    """Maps file keys to outcomes.

    The newest entries are in a dict, which is fast but takes 100 bytes an entry. When it is full, its entries move to a
    :class:`PackedTable`, two with each later call, so no call takes long. Every step can be repeated, so an exception
    raised into it does no harm.
    """

    def __init__(self, young: int = YOUNG) -> None:
        self._limit = young
        self._young: dict[int, int] = {}
        self._aging: dict[int, int] = {}
        self._order: list[int] = []  # the keys of the aging entries; ``_moved`` of them have moved
        self._moved = 0
        self._old = PackedTable()

    def get(self, key: Hashable) -> int:
        """Return the file's outcome."""
        hashed = hash(key)
        found = self._young.get(hashed)
        if found is None:
            found = self._aging.get(hashed)
        return self._old.get(hashed) if found is None else found

    def set(self, key: Hashable, outcome: int) -> None:
        """Set the file's outcome."""
        self._young[hash(key)] = outcome
        if self._aging:
            self._move()
        elif len(self._young) > self._limit:
            self._order, self._moved = list(self._young), 0
            self._aging, self._young = self._young, {}

    def _move(self) -> None:
        for hashed in self._order[self._moved : self._moved + _MOVES]:
            self._old.set(hashed, self._aging[hashed])
            self._moved += 1
        if self._moved >= len(self._order):
            self._aging = {}


class PackedTable:
    """Maps hashes to outcomes in arrays of 64-bit words: 61 bits of the hash, 3 of the outcome; open addressing.

    It is split into shards that grow one at a time, so a call rehashes at most one of them. With a million files, the
    probability that any two share an entry is 1 in 4 million.
    """

    def __init__(self) -> None:
        self._shards: list[array[int] | None] = [None] * _SHARDS
        self._used = [0] * _SHARDS

    def get(self, hashed: int) -> int:
        """Return the outcome, 0 if there is none."""
        word = hashed & _HASH_MASK or 1 << _CODE_BITS
        shard = self._shards[(word >> _CODE_BITS) & (_SHARDS - 1)]
        return 0 if shard is None else shard[_slot_of(shard, word)] & _CODE_MASK

    def set(self, hashed: int, outcome: int) -> None:
        """Set the outcome."""
        word = hashed & _HASH_MASK or 1 << _CODE_BITS
        index = (word >> _CODE_BITS) & (_SHARDS - 1)
        shard = self._shards[index]
        if shard is None:
            shard = self._shards[index] = array("Q", bytes(8 * _SMALLEST))
        slot = _slot_of(shard, word)
        if not shard[slot]:
            # Counted first: an exception in between leaves the count too high, never too low.
            self._used[index] += 1
            if self._used[index] * 3 > len(shard) * 2:
                shard = self._shards[index] = _grown(shard)
                slot = _slot_of(shard, word)
        shard[slot] = word | outcome


def _slot_of(shard: array[int], word: int) -> int:
    """Return the slot that holds the word, or the free slot for it; a third of the slots is always free."""
    last = len(shard) - 1
    slot = (word >> 11) & last
    while (found := shard[slot]) and found & _HASH_MASK != word:
        slot = (slot + 1) & last
    return slot


def _grown(shard: array[int]) -> array[int]:
    larger = array("Q", bytes(16 * len(shard)))
    for found in shard:
        if found:
            larger[_slot_of(larger, found & _HASH_MASK)] = found
    return larger
