"""Names of the keys in Redis, and conversions of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rag_pipeline.journal.base import FileStatus

DEFAULT_PREFIX = "rag"
MAX_POSITION = (1 << 128) - 1
_SEQ_BITS = 64
_SEQ_MASK = (1 << _SEQ_BITS) - 1


class RedisKeys:
    """The keys of one journal; those that the scripts build begin with ``prefix``, too.

    A pipeline id may contain any character. So it comes last, after the kind, and no id can make two kinds collide.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.events = f"{prefix}:events"
        self.identity = f"{prefix}:journal"
        self.generations = f"{prefix}:generations"
        self.count = f"{prefix}:count"
        self.pipelines = f"{prefix}:pipelines"

    def pipeline(self, pipeline_id: str) -> str:
        """Return the hash that the pipeline resumes from."""
        return f"{self.prefix}:pipeline:{pipeline_id}"

    def state(self, pipeline_id: str) -> str:
        """Return the hash with the pipeline's last status."""
        return f"{self.prefix}:state:{pipeline_id}"

    def owner(self, pipeline_id: str) -> str:
        """Return the lease, whose value begins with the owner's token."""
        return f"{self.prefix}:owner:{pipeline_id}"

    def files(self, pipeline_id: str) -> str:
        """Return the hash of the pipeline's files."""
        return f"{self.prefix}:files:{pipeline_id}"

    def files_by_change(self, pipeline_id: str, status: FileStatus) -> str:
        """Return the sorted set of the pipeline's files of one status, most recently changed last."""
        return f"{self.prefix}:by-change-{status}:{pipeline_id}"

    def warned_files(self, pipeline_id: str) -> str:
        """Return the sorted set of the pipeline's completed files with warnings, most recently changed last."""
        return f"{self.prefix}:by-change-warned:{pipeline_id}"

    def legacy_files_by_change(self, pipeline_id: str, status: FileStatus) -> str:
        """Return the name that earlier versions used for the set; it may hold the files of another pipeline."""
        return f"{self.files(pipeline_id)}:{status}"


def position_of(entry_id: str) -> int:
    """Return the position of a stream's entry id, ``<ms>-<seq>``."""
    ms, _, seq = entry_id.partition("-")
    return int(ms) << _SEQ_BITS | int(seq)


def id_of(position: int) -> str:
    """Return the entry id of a position, clamped to the range of ids."""
    position = max(0, min(position, MAX_POSITION))
    return f"{position >> _SEQ_BITS}-{position & _SEQ_MASK}"


def score_of(position: int) -> int:
    """Return the score in :meth:`RedisKeys.files_by_change`: 53 bits, so close positions may share one."""
    position = max(0, min(position, MAX_POSITION))
    return (position >> _SEQ_BITS) * 4096 + min(position & _SEQ_MASK, 4095)


def pairs(flat: Sequence[Any]) -> dict[str, Any]:
    """Return the mapping from a list of alternating names and values."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
