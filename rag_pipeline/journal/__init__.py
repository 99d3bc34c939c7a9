"""The journal of events: ordered, bounded, replayable."""

from rag_pipeline.journal.backend import JournalBackend
from rag_pipeline.journal.base import (
    Entry,
    FileMatch,
    FileQuery,
    FileStatus,
    Generations,
    encode_payload,
    new_identity,
    offset_of,
    parse_offset,
)
from rag_pipeline.journal.tail import Tail

__all__ = [
    "Entry",
    "FileMatch",
    "FileQuery",
    "FileStatus",
    "Generations",
    "JournalBackend",
    "Tail",
    "encode_payload",
    "new_identity",
    "offset_of",
    "parse_offset",
]  # fmt: skip
