"""The settings of ingestion, read once from the environment and validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rag_pipeline.common.env import read_int, read_str, reject, reject_unset
from rag_pipeline.ingest.postgres_address import PostgresAddress, parse_address

DEFAULT_CHUNK_TOKENS = 254


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The settings of chunking, embedding and storing.

    Without ``store_address`` the store is in the state folder. Without ``embedding_api_url`` the local model embeds:
    the one in ``embedding_model_dir``, or else the installed one. ``chunk_tokens`` is the maximum per chunk, special
    tokens not counted.
    """

    embedding_model_dir: Path | None = None
    embedding_api_url: str | None = None
    embedding_api_model: str | None = None
    embedding_api_key: str | None = field(default=None, repr=False)
    embedding_api_dimensions: int | None = None
    embedding_threads: int | None = None
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS
    store_address: PostgresAddress | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> IngestSettings:
        """Read the environment; raises ConfigurationError that names the variable, its value and what was expected."""
        env = os.environ if env is None else env
        url = _read_url(env)
        model = read_str(env, "EMBEDDING_API_MODEL")
        if url is not None and model is None:
            reject_unset("EMBEDDING_API_MODEL", "the model's name, because EMBEDDING_API_URL is set")
        if url is None:
            for key in ("EMBEDDING_API_MODEL", "EMBEDDING_API_DIMENSIONS"):
                value = read_str(env, key)
                if value is not None:
                    reject(key, value, "EMBEDDING_API_URL beside it")
        folder = read_str(env, "EMBEDDING_MODEL_DIR")
        store = read_str(env, "RAG_STORE_URL")
        # The local model reads 254 word pieces. Below 128, a single long word might not fit.
        high = DEFAULT_CHUNK_TOKENS if url is None else 8000
        return cls(
            embedding_model_dir=Path(folder).expanduser() if folder else None,
            embedding_api_url=url,
            embedding_api_model=model,
            embedding_api_key=read_str(env, "EMBEDDING_API_KEY"),
            embedding_api_dimensions=read_int(env, "EMBEDDING_API_DIMENSIONS", 0, low=1, high=65536) or None,
            embedding_threads=read_int(env, "EMBEDDING_THREADS", 0, low=1, high=256) or None,
            chunk_tokens=read_int(env, "RAG_CHUNK_TOKENS", DEFAULT_CHUNK_TOKENS, low=128, high=high),
            store_address=parse_address("RAG_STORE_URL", store) if store else None,
        )


def _read_url(env: Mapping[str, str]) -> str | None:
    key = "EMBEDDING_API_URL"
    text = read_str(env, key)
    if text is None:
        return None
    expected = "an address such as https://api.example.com/v1 (without user, query and /embeddings)"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        reject(key, text, expected)
    if parts.username or parts.password:
        reject(key, text.replace(parts.netloc, "***@" + parts.netloc.rpartition("@")[2]), expected)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        reject(key, text, expected)
    return text.rstrip("/").removesuffix("/embeddings")
