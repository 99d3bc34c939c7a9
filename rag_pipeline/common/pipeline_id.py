"""Checks of the text of a pipeline's id."""

from __future__ import annotations

from rag_pipeline.common.env import reject
from rag_pipeline.errors import ConfigurationError

MAX_PIPELINE_ID_LENGTH = 200


def check_pipeline_id(key: str, value: str) -> str:
    """Return the id if it is readable and a single path segment.

    Ids are public names. The error does not repeat an id with an ``@``: it may be a URL with a password.
    """
    expected = f"1 to {MAX_PIPELINE_ID_LENGTH} printable characters, no / or \\, and not . or .. alone"
    if not is_readable_id(value) or value in (".", "..") or "/" in value or "\\" in value:
        if "@" in value:
            raise ConfigurationError(f"{key}: expected {expected}")
        reject(key, value, expected)
    return value


def is_readable_id(value: str) -> bool:
    """Return whether a pipeline may have the id, or could have it in older versions, whose journals may contain it."""
    return 0 < len(value) <= MAX_PIPELINE_ID_LENGTH and value.isprintable() and value == value.strip()
