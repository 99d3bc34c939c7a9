"""Whether a process is there."""

from __future__ import annotations

import os


def is_alive(process_id: int) -> bool:
    """Return whether a process of this machine has the id; one that has ended and was not waited for yet has it too."""
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        return True
    return True
