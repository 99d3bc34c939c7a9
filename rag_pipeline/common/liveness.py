"""Whether a process is alive."""

from __future__ import annotations

import os


def is_alive(process_id: int) -> bool:
    """Return whether a process of this machine has the id; a zombie counts as alive."""
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True
