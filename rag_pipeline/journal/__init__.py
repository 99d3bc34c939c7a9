"""The journal of events: ordered, bounded, replayable."""

from rag_pipeline.journal.base import (
    Entry,
    FileQuery,
    FileRow,
    FileStatus,
    Journal,
    Lineage,
    encode_payload,
    new_identity,
    offset_of,
    parse_offset,
)  # fmt: skip
from rag_pipeline.journal.tail import Tail

__all__ = [
    "Entry", "FileQuery", "FileRow", "FileStatus", "Journal", "Lineage", "Tail", "encode_payload", "new_identity",
    "offset_of", "parse_offset",
]  # fmt: skip
