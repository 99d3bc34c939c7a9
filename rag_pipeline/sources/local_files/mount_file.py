"""The mount points below a watched folder, kept in the state folder: a restart is when a mount is missing."""

from __future__ import annotations

import json
import logging
import os
from hashlib import blake2b
from pathlib import Path

from rag_pipeline.common import logs
from rag_pipeline.common.private_files import write_private

logger = logging.getLogger(__name__)


class MountFile:
    """Keeps the ids of mount points in a file of its own for each place; without it they are known until the end."""

    def __init__(self, state_dir: Path, place: str, pipeline_id: str | None) -> None:
        digest = blake2b(place.encode(), digest_size=8).hexdigest()
        self._path = state_dir / f"mounts-{digest}.json"
        self._about = logs.about(pipeline_id)
        self._kept: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        """Return what was kept; nothing if it can't be read."""
        try:
            kept = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            logger.warning("%s can't be read: %s", self._path.name, error, extra=self._about)
            return frozenset()
        self._kept = frozenset(key for key in kept if isinstance(key, str)) if isinstance(kept, list) else frozenset()
        return self._kept

    def write(self, mounts: frozenset[str]) -> None:
        """Keep these; a failure is logged, as it does no harm before the next start."""
        if mounts == self._kept:
            return
        self._kept = mounts
        new = self._path.with_suffix(".new")
        try:
            write_private(new, json.dumps(sorted(mounts)))
            os.replace(new, self._path)  # noqa: PTH105 - as in the rest of the package
        except OSError as error:
            logger.warning("%s can't be written: %s", self._path.name, error, extra=self._about)
