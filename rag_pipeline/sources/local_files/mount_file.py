"""Keeps the mount points below a watched folder in the state folder, because mounts fail at a restart."""

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
    """Keeps the ids of mount points in one file per location; if it can't be written, they are lost at a restart."""

    def __init__(self, state_dir: Path, location: str, pipeline_id: str | None) -> None:
        digest = blake2b(location.encode(), digest_size=8).hexdigest()
        self._path = state_dir / f"mounts-{digest}.json"
        self._about = logs.about(pipeline_id)
        self._written: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        """Return the mount points; none if the file can't be read."""
        try:
            content = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            logger.warning("%s can't be read: %s", self._path.name, error, extra=self._about)
            return frozenset()
        mounts = content if isinstance(content, list) else []
        self._written = frozenset(key for key in mounts if isinstance(key, str))
        return self._written

    def write(self, mounts: frozenset[str]) -> None:
        """Write the mount points; a failure is only logged, because it does no harm before the next start."""
        if mounts == self._written:
            return
        self._written = mounts
        new = self._path.with_suffix(".new")
        try:
            write_private(new, json.dumps(sorted(mounts)))
            os.replace(new, self._path)  # noqa: PTH105 - as in the rest of the package
        except OSError as error:
            logger.warning("%s can't be written: %s", self._path.name, error, extra=self._about)
