"""Where commands keep what must outlive them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rag_pipeline.common.config import read_str

DEFAULT_STATE_DIR = ".rag_pipeline"
STORE_NAME = "store"
_NO_STATE = frozenset({"lock", ".gitignore"})  # what a process leaves that has kept nothing yet


def read_state_dir(env: Mapping[str, str] | None = None) -> Path:
    """Return the state folder of the command line: ``STATUS_STATE_DIR``, or ``.rag_pipeline`` where it is run."""
    env = os.environ if env is None else env
    return Path(read_str(env, "STATUS_STATE_DIR") or DEFAULT_STATE_DIR).expanduser()


def is_default(state_dir: Path) -> bool:
    """Return whether this is the default folder, so that its path depends on the working folder."""
    return state_dir == Path(DEFAULT_STATE_DIR)


def note_new_default(state_dir: Path, other: str) -> str | None:
    """Return a line that says where the state folder is, if it is the default one and nothing is kept in it yet.

    People who work in another folder than last time see so why nothing is found. ``other`` says what names another
    state folder.
    """
    if not is_default(state_dir):
        return None
    try:
        with os.scandir(state_dir) as entries:
            if any(entry.name not in _NO_STATE for entry in entries):
                return None
    except OSError:
        pass  # it is not there
    return f"a new index in {state_dir.absolute()} ({other} names another state folder)"
