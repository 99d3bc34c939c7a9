"""The fingerprint of a file: what its content is, and what would be made of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from hashlib import blake2b

from rag_pipeline.errors import ExtractionLimitError

_BLOCK_BYTES = 1 << 20


def fingerprint(path: str, name: str, recipe: str, *, limit: int, check: Callable[[], None]) -> str:
    """Return the hash of the content and the recipe; ``check`` is called for each MiB and may raise.

    Raises FileNotFoundError for what is no regular file, and ExtractionLimitError for one of more than ``limit`` bytes.
    """
    digest = blake2b(digest_size=20)
    # A named pipe that has taken the file's place would otherwise block for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "is no longer a file", path)
        read = 0
        while block := os.read(descriptor, _BLOCK_BYTES):
            check()
            digest.update(block)
            read += len(block)
            if read > limit:
                raise ExtractionLimitError(f"{name} has grown over the limit of {limit:,} bytes")
    finally:
        os.close(descriptor)
    return f"{digest.hexdigest()}-{recipe}"
