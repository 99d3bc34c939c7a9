"""Command lines whose mistakes are told in one line, as every other wrong setting is."""

from __future__ import annotations

import argparse
from typing import NoReturn

from rag_pipeline.errors import ConfigurationError


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that raises instead of printing its usage; its subparsers are of the same kind."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError."""
        raise ConfigurationError(message)
