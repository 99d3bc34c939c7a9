"""Protects the files of subfolders: one that is suddenly empty, or another one, is not believed at once.

A subfolder looks like this when its file system is not mounted, or when a share shows it empty for a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rag_pipeline.sources.local_files.unicode_ids import normalize_id

UNMOUNTED = "the file system mounted here is gone: nothing below is taken for deleted"


class Subfolder(NamedTuple):
    """A listed subfolder: its identity, and whether a file system is mounted on it."""

    device: int
    inode: int
    is_mount: bool


class SuspectFolders(NamedTuple):
    """Folders whose missing files may still exist, by id in NFC; ``unmounted`` are those without their file system."""

    folders: frozenset[str] = frozenset()
    unmounted: frozenset[str] = frozenset()


class _Observation(NamedTuple):
    """A suspect folder as a scan saw it."""

    folder: Subfolder
    has_files: bool


class SubfolderCheck:
    """Compares each scan's subfolders with those of earlier scans; pure, folders are given by id in NFC.

    A folder that is empty or another one is believed when a second scan sees the same. A mount point without its file
    system is suspect while it is empty, for it may stay unmounted for days.

    mounts: the mount points that had files. They must outlive the process, because mounts fail at a restart.
    """

    def __init__(self) -> None:
        self.mounts: frozenset[str] = frozenset()
        self._with_files: dict[str, Subfolder | None] = {}  # None: from an earlier process, or not identified yet
        self._suspects: dict[str, _Observation] = {}

    def learn(self, ids: Iterable[str], mounts: Iterable[str]) -> None:
        """Set the files and mount points that an earlier process knew."""
        self._with_files.update(dict.fromkeys(_with_ancestors(parent_of(normalize_id(key)) for key in ids)))
        self.mounts = frozenset(mounts) & self._with_files.keys()

    def check(
        self, listed: Mapping[str, Subfolder], with_files: Iterable[str], unlisted: frozenset[str]
    ) -> SuspectFolders:
        """Return the suspect folders, and remember this scan.

        ``listed`` are all subfolders that could be listed, ``with_files`` those with a file directly in them, and
        ``unlisted`` those that could not be listed.
        """
        now = _with_ancestors(with_files)
        suspects: dict[str, _Observation] = {}
        unmounted: set[str] = set()
        kept: dict[str, Subfolder | None] = {}
        for name, before in self._with_files.items():
            if _is_at_or_below(name, unlisted) or _is_at_or_below(name, suspects):
                # Parents come before the folders below them: see _with_ancestors.
                kept[name] = before
                if name in listed:
                    suspects[name] = _Observation(listed[name], name in now)
                continue
            folder = listed.get(name)
            if folder is None:
                continue  # its parent was listed without it, so it is gone
            if name not in now and name in self.mounts and not folder.is_mount:
                unmounted.add(name)
            elif name in now and (before is None or before[:2] == folder[:2]):
                continue
            elif self._suspects.get(name) == (folder, name in now):
                continue  # the second scan that sees the same
            suspects[name] = _Observation(folder, name in now)
            kept[name] = before
        self._suspects = suspects
        self._with_files = {name: listed.get(name) for name in now} | kept
        self.mounts = frozenset(
            name
            for name in self._with_files
            if (name in self.mounts and name in kept) or ((folder := listed.get(name)) is not None and folder.is_mount)
        )
        return SuspectFolders(frozenset(suspects), frozenset(unmounted))


def parent_of(key: str) -> str:
    """Return the id of the folder that a file is in; empty for the watched folder."""
    return key.rpartition("/")[0]


def _with_ancestors(folders: Iterable[str]) -> dict[str, None]:
    """Return these folders and all folders they are in except the watched one, parents first."""
    every: set[str] = set()
    for folder in folders:
        while folder and folder not in every:
            every.add(folder)
            folder = parent_of(folder)
    return dict.fromkeys(sorted(every, key=lambda folder: (folder.count("/"), folder)))


def _is_at_or_below(folder: str, others: Mapping[str, object] | frozenset[str]) -> bool:
    while folder and others:
        if folder in others:
            return True
        folder = parent_of(folder)
    return False
