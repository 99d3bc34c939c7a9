"""Where commands keep what must outlive them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rag_pipeline.config import read_str

DEFAULT_STATE_DIR = ".rag_pipeline"
STORE_NAME = "store"


def read_state_dir(env: Mapping[str, str] | None = None) -> Path:
    """Return the state folder of the command line: ``STATUS_STATE_DIR``, or ``.rag_pipeline`` where it is run."""
    env = os.environ if env is None else env
    return Path(read_str(env, "STATUS_STATE_DIR") or DEFAULT_STATE_DIR).expanduser()
