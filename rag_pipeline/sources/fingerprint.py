"""The fingerprint of a file: a hash of its content and of the ingestion settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

from rag_pipeline.errors import ExtractionLimitError

_BLOCK_BYTES = 1 << 20


def fingerprint(descriptor: int, name: str, config_hash: str, *, limit: int, check: Callable[[], None]) -> str:
    """Return the hash of an open file's content and the configuration; ``check`` is called per MiB and may raise.

    The file's position stays as it is. Raises ExtractionLimitError for a file of more than ``limit`` bytes.
    """
    digest = blake2b(digest_size=20)
    read = 0
    while block := os.pread(descriptor, _BLOCK_BYTES, read):
        check()
        digest.update(block)
        read += len(block)
        if read > limit:
            raise ExtractionLimitError(f"{name} has grown over the limit of {limit:,} bytes")
    return f"{digest.hexdigest()}-{config_hash}"
