"""Durability of a LanceDB table. LanceDB itself syncs nothing, so a power loss could lose the newest versions.

The file ``synced`` beside the table names the newest version whose files are all on disk, and the boot of the machine
in which it was written. After a reboot, newer versions are dropped: none of them was reported as stored.
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
# Two slots are written alternately: an interrupted write leaves the other one intact.
_SLOT_BYTES = 128
# LanceDB writes a file under a temporary name and renames it, so a visible file is complete and never changes.
_FLAT = ("data", "_deletions")
_INDICES = "_indices"
_VERSIONS = "_versions"
_SUFFIX = ".manifest"
_DAMAGED = ".damaged"
_HIGHEST = (1 << 64) - 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Marker(NamedTuple):
    """A version whose files are all on disk, and the boot in which it was written."""

    version: int
    boot: str


class DurableTable:
    """Syncs the versions of one table, and restores the newest good one after a power loss; safe under threads."""

    def __init__(self, folder: Path, table: str) -> None:
        self._folder = folder
        self._table = folder / f"{table}.lance"
        # Protects the fields below. A thread that waited usually finds its version synced by the thread before.
        self._lock = threading.Lock()
        self._synced_version = -1
        self._wanted_version = -1
        self._synced: dict[str, set[str]] = {}  # file names by folder
        self._known_folders: set[Path] = {folder.parent}
        self._slot = 0
        self._lock_file: int | None = None

    def recover(self) -> None:
        """After a reboot, drop the versions that were not on disk before it."""
        marker = self._read()
        if marker is not None and marker.boot != boot_id():
            with self._exclusive():
                if self._has_no_writer():
                    self._drop_unsynced()

    def claim(self) -> None:
        """Register this process as a writer, so that no other process drops its versions."""
        with self._lock, self._exclusive():
            marker = self._read()
            if marker is None and self._versions():
                return  # written by an older version of this package: the first sync creates the file
            if marker is None or marker.boot != boot_id():
                if self._has_no_writer():
                    self._drop_unsynced()
                self._write(Marker(0 if marker is None else marker.version, boot_id()))
            self._lock_shared()

    def close(self) -> None:
        """Unregister this process as a writer; idempotent."""
        with self._lock:
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def sync(self, version: int) -> None:
        """Return once this version and all before it are on disk; one call syncs for all waiting threads."""
        # Without the lock: if two threads race here, at worst one of them needs a sync of its own.
        self._wanted_version = max(self._wanted_version, version)
        with self._lock:
            if version <= self._synced_version:
                return
            try:
                self._sync_version(max(version, self._wanted_version))
            except BaseException:
                # It is unknown which files are on disk: the next sync includes all of them.
                self._synced, self._known_folders = {}, {self._folder.parent}
                raise

    def _sync_version(self, version: int) -> None:
        """Sync all files that are new since the last sync, among them those of this version."""
        assert self._lock.locked()
        current = self._file_names()
        new = [
            self._table / folder / name
            for folder, names in current.items()
            for name in names - self._synced.get(folder, set())
        ]
        new.append(self._manifest(version))
        for path in new:
            _sync(path)
        for folder in self._parents_to_sync(new):
            _sync(folder)
        self._write(Marker(version, boot_id()))
        self._synced = current
        self._synced_version = version

    def previous_age(self) -> float:
        """Return the age in seconds of the second newest version; 0 if there is none."""
        ordered = [path for _, path in sorted(self._versions().items())]
        return max(0.0, time.time() - ordered[-2].stat().st_mtime) if len(ordered) > 1 else 0.0

    def fall_back(self, is_readable: Callable[[], bool]) -> bool:
        """Set damaged versions aside until one is readable; return whether one is, or else restore all of them."""
        aside: list[Path] = []
        with self._exclusive():
            for version, path in sorted(self._versions().items(), reverse=True):
                if aside and is_readable():
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
            "%s: the machine stopped before the last changes were on disk: went back to version %d; files "
            "not yet reported as stored are embedded again", self._folder, marker.version,
        )  # fmt: skip

    def _lock_shared(self) -> None:
        """Hold a shared lock while this process writes: a process on another machine has another boot id."""
        if self._lock_file is None:
            self._lock_file = os.open(self._folder / MARKER, os.O_RDONLY)
            fcntl.flock(self._lock_file, fcntl.LOCK_SH)

    def _has_no_writer(self) -> bool:
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
                    # Newer tables count down, so that a listing begins with the newest version.
                    version = int(number) if int(number) < _HIGHEST // 2 else _HIGHEST - int(number)
                    found[version] = Path(entry.path)
        return found

    def _parents_to_sync(self, files: list[Path]) -> set[Path]:
        """Return the folders of these files, and the parents of each new folder."""
        folders: set[Path] = set()
        for path in files:
            for folder in path.parents:
                folders.add(folder)
                if folder in self._known_folders:
                    break
                self._known_folders.add(folder)
        return folders

    def _manifest(self, version: int) -> Path:
        # By name first: a scan of thousands of versions for each write would be slow.
        path = self._table / _VERSIONS / f"{_HIGHEST - version:020}{_SUFFIX}"
        return path if path.exists() else self._versions()[version]

    def _file_names(self) -> dict[str, set[str]]:
        """Return the names of all files except manifests, by folder in the table.

        It runs for each write, and there can be thousands of files of versions that are still being read.
        """
        names_by_folder: dict[str, set[str]] = {}
        for folder in _FLAT:
            with suppress(FileNotFoundError):
                names_by_folder[folder] = set(os.listdir(self._table / folder))  # noqa: PTH208 - only names are needed
        for path, _, names in os.walk(self._table / _INDICES):
            names_by_folder[os.path.relpath(path, self._table)] = set(names)
        return names_by_folder

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
    def _exclusive(self) -> Iterator[None]:
        """Keep other processes from changing versions during the block."""
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
    """Return the id of the current boot, or the constant "unknown" on systems without one."""
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
    """Sync a file or folder. A missing one was removed by compaction, so no current version needs it."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)
