"""The state folder: where commands keep their index and state between runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rag_pipeline.common.env import read_str

DEFAULT_STATE_DIR = ".rag_pipeline"
STORE_NAME = "store"
_NO_STATE = frozenset({"lock", ".gitignore"})  # a process makes these before it stores anything


def read_state_dir(env: Mapping[str, str] | None = None) -> Path:
    """Return the state folder: ``STATUS_STATE_DIR``, or ``.rag_pipeline`` in the working folder."""
    env = os.environ if env is None else env
    return Path(read_str(env, "STATUS_STATE_DIR") or DEFAULT_STATE_DIR).expanduser()


def is_default(state_dir: Path) -> bool:
    """Return whether this is the default folder, whose path depends on the working folder."""
    return state_dir == Path(DEFAULT_STATE_DIR)


def note_new_default(state_dir: Path, other: str) -> str | None:
    """Return a line that names the state folder, if it is the default folder and still empty; else None.

    It tells users who changed the working folder why nothing is found. ``other`` names the option or variable that
    sets another state folder.
    """
    if not is_default(state_dir):
        return None
    try:
        with os.scandir(state_dir) as entries:
            if any(entry.name not in _NO_STATE for entry in entries):
                return None
    except OSError:
        pass  # it does not exist yet
    return f"a new index in {state_dir.absolute()} ({other} names another state folder)"
