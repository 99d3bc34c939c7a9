"""Where a reader of the stream stands, and whether it can go on from there: decided from what Redis answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rag_pipeline.journal.base import Lineage, offset_of
from rag_pipeline.journal.redis.generations import lineage_of
from rag_pipeline.journal.redis.keys import position_of


class Place(NamedTuple):
    """The last entry that the reader has, how many the stream had got by then, and the generation it read in.

    ``mark`` is what stood in Redis as the journal's identity.
    """

    entry_id: str
    added: int
    mark: str
    lineage: Lineage

    def is_gapless(self, stream: Mapping[str, Any], *, here: bool) -> bool:
        """Return whether the stream has every entry after this one, and has forgotten none before it.

        ``stream`` is what ``XINFO STREAM`` tells, ``here`` whether the entry itself is there.
        """
        added = int(stream["entries-added"])
        removed = added - int(stream["length"])
        return removed == self.added or (here and removed < self.added <= added)

    def in_generation(self, mark: str, generations: Sequence[str]) -> Place | None:
        """Return the place in the generation that Redis is in now, None if that is not the same journal up to here."""
        if mark == self.mark:
            return self
        lineage = lineage_of(generations) if generations else None
        if lineage is None or lineage.identity != mark.split(" ")[0]:
            return None
        known = lineage.position_of(offset_of(self.lineage.identity, position_of(self.entry_id)))
        return None if known is None else self._replace(mark=mark, lineage=lineage)

    def after(self, entry_ids: Sequence[str]) -> Place:
        """Return the place after these entries."""
        return self._replace(entry_id=[self.entry_id, *entry_ids][-1], added=self.added + len(entry_ids))
