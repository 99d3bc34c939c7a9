"""Names of the keys in Redis, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rag_pipeline.journal.base import FileStatus
from rag_pipeline.status.files import Key

DEFAULT_PREFIX = "rag"
MAX_POSITION = (1 << 128) - 1
_SEQ_BITS = 64
_SEQ_MASK = (1 << _SEQ_BITS) - 1


class Keys:
    """The keys of one journal; what the scripts name themselves begins with ``prefix`` too.

    An id may have any character in it. So it comes last, behind a kind: no id makes two kinds the same key.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.events = f"{prefix}:events"
        self.identity = f"{prefix}:journal"
        self.generations = f"{prefix}:generations"
        self.count = f"{prefix}:count"
        self.pipelines = f"{prefix}:pipelines"

    def pipeline(self, pipeline_id: str) -> str:
        """Return the hash of what the pipeline goes on from."""
        return f"{self.prefix}:pipeline:{pipeline_id}"

    def state(self, pipeline_id: str) -> str:
        """Return the hash of the pipeline's last status."""
        return f"{self.prefix}:state:{pipeline_id}"

    def owner(self, pipeline_id: str) -> str:
        """Return the lease: whose value begins with the holder's token."""
        return f"{self.prefix}:owner:{pipeline_id}"

    def files(self, pipeline_id: str) -> str:
        """Return the hash of the pipeline's files."""
        return f"{self.prefix}:files:{pipeline_id}"

    def files_by_change(self, pipeline_id: str, status: FileStatus) -> str:
        """Return the sorted set of the pipeline's files of one status, the one that changed last at the end."""
        return f"{self.prefix}:by-change-{status}:{pipeline_id}"

    def files_by_change_before(self, pipeline_id: str, status: FileStatus) -> str:
        """Return where earlier versions had the set; what stands there may be the files of another pipeline."""
        return f"{self.files(pipeline_id)}:{status}"


def position_of(entry_id: str) -> int:
    """Return the position of a stream's entry id, ``<ms>-<seq>``."""
    ms, _, seq = entry_id.partition("-")
    return int(ms) << _SEQ_BITS | int(seq)


def id_of(position: int) -> str:
    """Return the entry id at a position; one past the end of what an id can be is cut to that."""
    position = max(0, min(position, MAX_POSITION))
    return f"{position >> _SEQ_BITS}-{position & _SEQ_MASK}"


def score_of(position: int) -> int:
    """Return the score in :meth:`Keys.files_by_change`: 53 bits, so that a double holds it; close ones may share it."""
    position = max(0, min(position, MAX_POSITION))
    return (position >> _SEQ_BITS) * 4096 + min(position & _SEQ_MASK, 4095)


def text_of_key(key: Key) -> str:
    """Return a file's key as the field of a hash."""
    return f"{key[0]}:{key[1]}"


def key_of_text(text: str) -> Key:
    """Return the key that :func:`text_of_key` made the text of."""
    kind, _, value = text.partition(":")
    return kind, value


def pairs(flat: Sequence[Any]) -> dict[str, Any]:
    """Return the mapping that Redis gives as a list of names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
