"""Shared by commands that talk to a running service: its URL, the token, and the ids of its pipelines."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection
from pathlib import Path

from rag_pipeline.common.config import Settings
from rag_pipeline.common.env import read_str
from rag_pipeline.common.probe import reachable
from rag_pipeline.errors import AccessDeniedError, ConfigurationError

TOKEN_KEY = "STATUS_TOKEN"
TOKEN_CODES = frozenset({"token_missing", "token_invalid", "token_expired"})


def default_url() -> str:
    """Return the URL of this machine's HTTP server, from the environment."""
    settings = Settings.from_env()
    host = reachable(settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


def add_token_file(parser: argparse.ArgumentParser) -> None:
    """Add ``--token-file``."""
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"file with the token (default: {TOKEN_KEY})")


def read_token(file: Path | None) -> Callable[[], str] | str | None:
    """Return the token, or for a file a function that reads it anew: files are replaced before tokens expire."""
    if file is None:
        return read_str(os.environ, TOKEN_KEY)

    def read() -> str:
        return file.read_text(encoding="utf-8").strip()

    try:
        token = read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(f"--token-file {file} can't be read: {why}") from None
    if not token:
        raise ConfigurationError(f"--token-file {file} is empty")
    return read


def with_token_advice(error: AccessDeniedError) -> AccessDeniedError:
    """Return the error with the settings that give a token, if a token would help."""
    if error.code not in TOKEN_CODES:
        return error
    return AccessDeniedError(f"{error}: set {TOKEN_KEY} or --token-file to a valid token", code=error.code)


def unknown_pipelines(unknown: Collection[str], known: Collection[str]) -> str:
    """Return one line that names the unknown pipelines, and those that the service has."""
    has = f"it has {', '.join(sorted(known))}" if known else "it has none yet"
    return f"the service has no pipeline {', '.join(unknown)}: {has}"
