"""What of a LanceDB table is on disk: LanceDB itself syncs nothing, so the newest version can be lost with the power.

The file ``synced`` beside the table says which version has every file of it on disk, and in which boot of the machine
that was written. After another boot, newer versions are dropped: nobody was told that they are stored.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rag_pipeline.common.private_files import make_private_folder, open_private

logger = logging.getLogger(__name__)

MARKER = "synced"
# Two places that are written in turn: a write that is cut off leaves the other one.
_SLOT_BYTES = 128
# The library writes a file under another name and renames it, so a file that is there is whole and never changes.
_FLAT = ("data", "_deletions")
_INDICES = "_indices"
_VERSIONS = "_versions"
_SUFFIX = ".manifest"
_DAMAGED = ".damaged"
_HIGHEST = (1 << 64) - 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Marker(NamedTuple):
    """A version that is on disk, and the boot in which it was written."""

    version: int
    boot: str


class DurableTable:
    """Syncs the versions of one table, and finds the newest good one after a loss of power; safe under threads."""

    def __init__(self, folder: Path, table: str) -> None:
        self._folder = folder
        self._table = folder / f"{table}.lance"
        # Guards the fields below. Whoever waits for it finds its version synced by the one before, mostly.
        self._lock = threading.Lock()
        self._synced_version = -1
        self._wanted_version = -1
        self._synced: dict[str, set[str]] = {}  # names by folder
        self._known_folders: set[Path] = {folder.parent}
        self._slot = 0
        self._held: int | None = None

    def recover(self) -> None:
        """After a boot of the machine, drop the versions that were not on disk before."""
        marker = self._read()
        if marker is not None and marker.boot != boot_id():
            with self._alone():
                if self._is_free():
                    self._drop_unsynced()

    def claim(self) -> None:
        """Say that this boot's process writes, before it does: nobody drops its versions from now on."""
        with self._lock, self._alone():
            marker = self._read()
            if marker is None and self._versions():
                return  # of an older version of this package: the first sync makes the file
            if marker is None or marker.boot != boot_id():
                if self._is_free():
                    self._drop_unsynced()
                self._write(Marker(0 if marker is None else marker.version, boot_id()))
            self._hold()

    def close(self) -> None:
        """Let go of the table; idempotent."""
        with self._lock:
            if self._held is not None:
                os.close(self._held)
                self._held = None

    def sync(self, version: int) -> None:
        """Return once this version is on disk, with all before it; one call does it for all that wait."""
        # Two threads may do this at once: at worst one of them syncs its version in a round of its own.
        self._wanted_version = max(self._wanted_version, version)
        with self._lock:
            if version <= self._synced_version:
                return
            try:
                self._sync_version(max(version, self._wanted_version))
            except BaseException:
                # Which of them are on disk is not known: the next sync takes all of them.
                self._synced, self._known_folders = {}, {self._folder.parent}
                raise

    def _sync_version(self, version: int) -> None:
        """Sync the files that are new since the last time; the version is there, and so is what it names."""
        assert self._lock.locked()
        found = self._names()
        new = [
            self._table / folder / name
            for folder, names in found.items()
            for name in names - self._synced.get(folder, set())
        ]
        new.append(self._manifest(version))
        for path in new:
            _sync(path)
        for folder in self._folders_of(new):
            _sync(folder)
        self._write(Marker(version, boot_id()))
        self._synced = found
        self._synced_version = version

    def previous_age(self) -> float:
        """Return how many seconds ago the version before the newest one was made; 0 if there is none."""
        ordered = [path for _, path in sorted(self._versions().items())]
        return max(0.0, time.time() - ordered[-2].stat().st_mtime) if len(ordered) > 1 else 0.0

    def fall_back(self, works: Callable[[], bool]) -> bool:
        """Put damaged versions aside until ``works``; return whether one does, and leave all as it was if none does."""
        aside: list[Path] = []
        with self._alone():
            for version, path in sorted(self._versions().items(), reverse=True):
                if aside and works():
                    logger.warning(
                        "%s: the newest version is damaged: fell back to version %d; newer files are embedded again",
                        self._folder, version,
                    )  # fmt: skip
                    return True
                aside.append(path.rename(path.with_name(path.name + _DAMAGED)))
            for path in aside:
                path.rename(path.with_name(path.name.removesuffix(_DAMAGED)))
        return False

    def _drop_unsynced(self) -> None:
        marker, versions = self._read(), self._versions()
        newer = [] if marker is None else [version for version in versions if version > marker.version]
        if marker is None or not (newer or (marker.version == 0 and self._table.is_dir())):
            return
        for version in sorted(newer, reverse=True):
            versions[version].unlink()
        if marker.version == 0:
            shutil.rmtree(self._table)
        logger.warning(
            "%s: the machine stopped before the last changes were on disk: went back to version %d; what was not yet "
            "reported as stored is embedded again", self._folder, marker.version,
        )  # fmt: skip

    def _hold(self) -> None:
        """Keep a shared lock while this process writes: one on another machine has another boot."""
        if self._held is None:
            self._held = os.open(self._folder / MARKER, os.O_RDONLY)
            fcntl.flock(self._held, fcntl.LOCK_SH)

    def _is_free(self) -> bool:
        """Return whether no process writes to the table."""
        try:
            file = os.open(self._folder / MARKER, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(file)
        return True

    def _versions(self) -> dict[int, Path]:
        """Return the manifests by version."""
        found: dict[int, Path] = {}
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._table / _VERSIONS):
                number = entry.name.removesuffix(_SUFFIX)
                if entry.name.endswith(_SUFFIX) and number.isdecimal():
                    # Newer tables count down, so that the newest version is listed first.
                    version = int(number) if int(number) < _HIGHEST // 2 else _HIGHEST - int(number)
                    found[version] = Path(entry.path)
        return found

    def _folders_of(self, files: list[Path]) -> set[Path]:
        """Return the folders of these files; above a folder that is new, also the one that has its name."""
        found: set[Path] = set()
        for path in files:
            for folder in path.parents:
                found.add(folder)
                if folder in self._known_folders:
                    break
                self._known_folders.add(folder)
        return found

    def _manifest(self, version: int) -> Path:
        # By its name: there can be thousands of versions, and this is done for each write.
        path = self._table / _VERSIONS / f"{_HIGHEST - version:020}{_SUFFIX}"
        return path if path.exists() else self._versions()[version]

    def _names(self) -> dict[str, set[str]]:
        """Return the names of all files but the manifests, by folder in the table.

        There can be thousands of them, of the versions that readers may still read, and this is done for each write.
        """
        found: dict[str, set[str]] = {}
        for folder in _FLAT:
            with suppress(FileNotFoundError):
                found[folder] = set(os.listdir(self._table / folder))  # noqa: PTH208 - names are all that is needed
        for path, _, names in os.walk(self._table / _INDICES):
            found[os.path.relpath(path, self._table)] = set(names)
        return found

    def _read(self) -> Marker | None:
        try:
            content = (self._folder / MARKER).read_bytes()
        except OSError:
            return None
        slots = [_parse(content[start : start + _SLOT_BYTES]) for start in (0, _SLOT_BYTES)]
        found = [(marker.version, slot) for slot, marker in enumerate(slots) if marker is not None]
        if not found:
            return None
        newest = max(found)[1]
        self._slot = 1 - newest
        return slots[newest]

    def _write(self, marker: Marker) -> None:
        make_private_folder(self._folder)
        text = f"{marker.version} {marker.boot} "
        slot = f"{text}{zlib.crc32(text.encode()):08x}\n".ljust(_SLOT_BYTES).encode()
        file = open_private(self._folder / MARKER, os.O_WRONLY)
        try:
            os.pwrite(file, slot, self._slot * _SLOT_BYTES)
            os.fsync(file)
        finally:
            os.close(file)
        if marker.version == 0:
            _sync(self._folder)
        self._slot = 1 - self._slot

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from deciding about versions at the same time."""
        if not self._folder.is_dir():
            yield
            return
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def boot_id() -> str:
    """Return what changes with each boot of the machine; "unknown", which never changes, where there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _parse(slot: bytes) -> Marker | None:
    try:
        version, boot, check = slot.decode("ascii").split()
        if int(check, 16) == zlib.crc32(f"{version} {boot} ".encode()):
            return Marker(int(version), boot)
    except ValueError:
        pass
    return None


def _sync(path: Path) -> None:
    """Sync a file or a folder; one that compaction has removed meanwhile is part of no version that counts."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)
