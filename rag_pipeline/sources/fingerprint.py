"""The fingerprint of a file: what its content is, and what would be made of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

from rag_pipeline.errors import ExtractionLimitError

_BLOCK_BYTES = 1 << 20


def fingerprint(descriptor: int, name: str, recipe: str, *, limit: int, check: Callable[[], None]) -> str:
    """Return the hash of an open file's content and the recipe; ``check`` is called for each MiB and may raise.

    The position in the file stays where it is. Raises ExtractionLimitError for a file of more than ``limit`` bytes.
    """
    digest = blake2b(digest_size=20)
    read = 0
    while block := os.pread(descriptor, _BLOCK_BYTES, read):
        check()
        digest.update(block)
        read += len(block)
        if read > limit:
            raise ExtractionLimitError(f"{name} has grown over the limit of {limit:,} bytes")
    return f"{digest.hexdigest()}-{recipe}"
