"""Simulates a power loss: everything that was not synced to disk is gone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest


class Disk:
    """Records each ``os.fsync`` of this process, and builds the folder that a power loss would leave.

    A file has the content of its last sync, and a name exists if its folder was synced since. What was
    not synced is removed, or (``lost="truncated"``) cut off in the middle, whichever name the disk has of it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._contents: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        self.syncs = 0
        self.before_sync: Callable[[], None] = lambda: None
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._record)

    def _record(self, file: int) -> None:
        self.before_sync()
        self.syncs += 1
        self._fsync(file)
        found, path = os.fstat(file), Path(f"/proc/self/fd/{file}").readlink()
        if stat.S_ISDIR(found.st_mode):
            self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._contents[found.st_ino] = path.read_bytes()

    def image(self, folder: Path, target: Path, lost: str) -> None:
        """Copy to ``target`` what the disk holds of ``folder``."""
        target.mkdir()
        for entry in sorted(folder.iterdir()):
            inode = entry.stat().st_ino
            is_named = self._names.get(folder, {}).get(entry.name) == inode
            if not is_named and lost == "removed":
                continue
            if entry.is_dir():
                self.image(entry, target / entry.name, lost)
            elif inode in self._contents:
                (target / entry.name).write_bytes(self._contents[inode])
            elif lost == "truncated":
                content = entry.read_bytes()
                (target / entry.name).write_bytes(content[: len(content) // 2])
