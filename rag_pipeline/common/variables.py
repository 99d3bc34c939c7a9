"""The names of the package's environment variables, to recognize misspelled ones."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping

from rag_pipeline.common.env import SECRETS

logger = logging.getLogger("rag_pipeline.config")

PREFIXES = ("RAG_", "STATUS_")
KNOWN = frozenset(
    {
        "RAG_CHECK_INTERVAL",
        "RAG_CHUNK_TOKENS",
        "RAG_DELETE_MAX_FILES",
        "RAG_DELETE_MAX_PERCENT",
        "RAG_EXTRACTION_SECONDS",
        "RAG_FOLLOW_OUTSIDE_LINKS",
        "RAG_OCR",
        "RAG_PIPELINE_ID",
        "RAG_SEARCH_LANGUAGE",
        "RAG_SEARCH_MIN_VECTOR",
        "RAG_SEARCH_MIN_WORDS",
        "RAG_SETTLE_SECONDS",
        "RAG_READ_HIDDEN",
        "RAG_SKIP_COMMENTS",
        "RAG_STORE_URL",
        "RAG_WATCH_DIRECTORY",
        "RAG_WATCH_FOLDER_ID",
        "RAG_WORKERS",
        "STATUS_ALLOWED_HOSTS",
        "STATUS_AUTH_TOKEN",
        "STATUS_BACKLOG_BYTES",
        "STATUS_CONTROL",
        "STATUS_EVENT_STREAMS",
        "STATUS_HEARTBEAT_SECONDS",
        "STATUS_HOST",
        "STATUS_JWKS_URL",
        "STATUS_JWT_AUDIENCE",
        "STATUS_JWT_ISSUER",
        "STATUS_JWT_SECRET",
        "STATUS_PORT",
        "STATUS_SEARCH",
        "STATUS_REDIS_URL",
        "STATUS_STATE_DIR",
        "STATUS_STRICT",
        "STATUS_TOKEN",
    }
)
"""All variables with one of the prefixes that the package reads; a test compares this with the sources."""


_warned: set[str] = set()


def warn_about_unknown(env: Mapping[str, str]) -> None:
    """Log one warning, once in a process, if the environment has variables with our prefixes that nothing reads."""
    unknown = describe_unknown(env)
    if unknown is not None and unknown not in _warned:
        _warned.add(unknown)
        logger.warning("%s", unknown)


def describe_unknown(env: Mapping[str, str]) -> str | None:
    """Return one line that names the unknown variables with our prefixes, each with its nearest match; None if none."""
    known = KNOWN | {f"{name}_FILE" for name in SECRETS if name.startswith(PREFIXES)}
    unknown = sorted(name for name in env if name.startswith(PREFIXES) and name not in known)
    if not unknown:
        return None
    return "unknown environment variables have no effect: " + ", ".join(_with_match(name, known) for name in unknown)


def _with_match(name: str, known: frozenset[str]) -> str:
    # Compared without the prefixes: they would make any two names similar, and the prefix itself may be wrong.
    by_stem = {_stem(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(_stem(name), by_stem, n=1)
    return f"{name} (did you mean {by_stem[matches[0]]}?)" if matches else name


def _stem(name: str) -> str:
    return name.partition("_")[2]
