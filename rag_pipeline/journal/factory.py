"""Chooses the journal backend."""

from __future__ import annotations

import importlib.util

from rag_pipeline.common.config import Settings
from rag_pipeline.errors import ConfigurationError, JournalError
from rag_pipeline.journal.backend import JournalBackend
from rag_pipeline.journal.memory import MemoryBackend
from rag_pipeline.journal.sqlite.backend import SqliteBackend, open_in_folder


def open_backend(settings: Settings) -> JournalBackend:
    """Return the backend that the settings choose: Redis, SQLite in the state folder, or memory.

    Raises ConfigurationError for an unusable ``STATUS_REDIS_URL``, JournalError if Redis refuses.
    """
    if settings.redis_url is not None:
        return _open_redis(settings.redis_url, settings.heartbeat_seconds)
    folder = settings.state_dir
    return MemoryBackend() if folder is None else SqliteBackend(lambda: open_in_folder(folder))


def _open_redis(url: str, heartbeat_seconds: float) -> JournalBackend:
    if importlib.util.find_spec("redis") is None:
        raise ConfigurationError('STATUS_REDIS_URL needs redis-py: pip install "rag-pipeline-status[redis]"')
    # Imported here because redis-py is optional.
    from rag_pipeline.journal.redis.address import RedisAddress
    from rag_pipeline.journal.redis.backend import RedisBackend

    try:
        RedisAddress(url)
    except JournalError as error:  # the message does not repeat the URL: it may contain a password
        raise ConfigurationError(f"STATUS_REDIS_URL: {error}") from None
    return RedisBackend(url, heartbeat_seconds=heartbeat_seconds)
