"""The settings of ingestion, read once from the environment and validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rag_pipeline.common.env import read_choice, read_flag, read_float, read_int, read_str, reject, reject_unset
from rag_pipeline.ingest.embedding_options import Precision
from rag_pipeline.ingest.extract.ocr.installed import OcrMode
from rag_pipeline.ingest.postgres_address import PostgresAddress, parse_address
from rag_pipeline.ingest.terms.analyzer import AUTO, NONE
from rag_pipeline.ingest.terms.languages import STEMMERS

DEFAULT_CHUNK_TOKENS = 254
DEFAULT_EXTRACTION_SECONDS = 120


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The settings of chunking, embedding and storing.

    Without ``store_address`` the store is in the state folder. Without ``embedding_api_url`` the local model embeds:
    the one in ``embedding_model_dir``, or else the installed one. ``chunk_tokens`` is the maximum per chunk, special
    tokens not counted. ``extraction_seconds`` is CPU time per file. ``read_hidden`` and ``skip_comments`` decide which
    parts of a file are read. ``search_language`` decides how words are stemmed, see :class:`TermAnalyzer`. Results
    below both ``search_min_words`` and ``search_min_vector`` are not shown; None stands for the default of the model.
    """

    embedding_model_dir: Path | None = None
    embedding_api_url: str | None = None
    embedding_api_model: str | None = None
    embedding_api_key: str | None = field(default=None, repr=False)
    embedding_api_dimensions: int | None = None
    embedding_threads: int | None = None
    embedding_precision: Precision = Precision.AUTO
    question_prefix: str | None = None
    passage_prefix: str | None = None
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS
    extraction_seconds: int = DEFAULT_EXTRACTION_SECONDS
    read_hidden: bool = False
    skip_comments: bool = False
    store_address: PostgresAddress | None = None
    search_language: str = AUTO
    search_min_words: float | None = None
    search_min_vector: float | None = None
    ocr: OcrMode = OcrMode.AUTO

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
            embedding_precision=read_choice(env, "EMBEDDING_PRECISION", Precision.AUTO),
            # Not stripped: a prefix usually ends with a space. An empty one turns the model's own off.
            question_prefix=env.get("EMBEDDING_QUESTION_PREFIX"),
            passage_prefix=env.get("EMBEDDING_PASSAGE_PREFIX"),
            chunk_tokens=read_int(env, "RAG_CHUNK_TOKENS", DEFAULT_CHUNK_TOKENS, low=128, high=high),
            extraction_seconds=read_int(env, "RAG_EXTRACTION_SECONDS", DEFAULT_EXTRACTION_SECONDS, low=1, high=86400),
            read_hidden=read_flag(env, "RAG_READ_HIDDEN"),
            skip_comments=read_flag(env, "RAG_SKIP_COMMENTS"),
            store_address=parse_address("RAG_STORE_URL", store) if store else None,
            search_language=_read_language(env),
            search_min_words=_read_floor(env, "RAG_SEARCH_MIN_WORDS", low=0.0, high=1000.0),
            search_min_vector=_read_floor(env, "RAG_SEARCH_MIN_VECTOR", low=-1.0, high=1.0),
            ocr=read_choice(env, "RAG_OCR", OcrMode.AUTO),
        )


def _read_language(env: Mapping[str, str]) -> str:
    key = "RAG_SEARCH_LANGUAGE"
    language = (read_str(env, key) or AUTO).lower()
    if language not in (AUTO, NONE, *STEMMERS):
        reject(key, language, f"{AUTO}, {NONE} or one of {', '.join(STEMMERS)}")
    return language


def _read_floor(env: Mapping[str, str], key: str, *, low: float, high: float) -> float | None:
    return None if read_str(env, key) is None else read_float(env, key, 0.0, low=low, high=high)


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
