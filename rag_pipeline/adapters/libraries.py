"""What to say where the library that an adapter is for is not installed."""

from __future__ import annotations

import importlib.util

from rag_pipeline.errors import ConfigurationError


def need(module: str, package: str, extra: str) -> None:
    """Raise ConfigurationError with one line, which says what to install, if the module is missing."""
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it would be in is missing
        found = False
    if not found:
        raise ConfigurationError(
            f'{package} is not installed, and its adapter needs it: pip install "rag-pipeline-status[{extra}]"'
        )
