"""The position of a reader in the stream, and whether it can continue from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rag_pipeline.journal.base import Generations, offset_of
from rag_pipeline.journal.redis.generations import read_generations
from rag_pipeline.journal.redis.keys import position_of


class StreamCursor(NamedTuple):
    """The last entry that was read, the number of entries ever added by then, and the generations at that time.

    ``mark`` is the value of the identity key.
    """

    entry_id: str
    added: int
    mark: str
    generations: Generations

    def is_gapless(self, stream: Mapping[str, Any], *, exists: bool) -> bool:
        """Return whether the stream has every entry after the cursor, and lost none before it.

        ``stream`` is the result of ``XINFO STREAM``; ``exists`` says whether the cursor's own entry is still there.
        """
        added = int(stream["entries-added"])
        removed = added - int(stream["length"])
        return removed == self.added or (exists and removed < self.added <= added)

    def in_generation(self, mark: str, texts: Sequence[str]) -> StreamCursor | None:
        """Return the cursor in Redis's current generation; None if the journal up to here is not the same.

        ``mark`` and ``texts`` are the identity and the list of generations in Redis.
        """
        if mark == self.mark:
            return self
        generations = read_generations(texts) if texts else None
        if generations is None or generations.identity != mark.split(" ")[0]:
            return None
        position = generations.position_of(offset_of(self.generations.identity, position_of(self.entry_id)))
        return None if position is None else self._replace(mark=mark, generations=generations)

    def after(self, entry_ids: Sequence[str]) -> StreamCursor:
        """Return the cursor after these entries."""
        return self._replace(entry_id=[self.entry_id, *entry_ids][-1], added=self.added + len(entry_ids))
