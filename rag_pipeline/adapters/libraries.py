"""Check that the library of an adapter is installed."""

from __future__ import annotations

import importlib.util

from rag_pipeline.errors import ConfigurationError


def require_library(module: str, package: str, extra: str) -> None:
    """Raise ConfigurationError with the command to install the package if the module is missing."""
    try:
        is_installed = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        is_installed = False
    if not is_installed:
        raise ConfigurationError(
            f'{package} is not installed, and its adapter needs it: pip install "rag-pipeline-status[{extra}]"'
        )
