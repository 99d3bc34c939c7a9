"""Subfolders that had files: one that is suddenly empty, or another one, is not believed at once.

That is what a subfolder looks like when its file system is not mounted, or when a share shows it empty for a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rag_pipeline.sources.local_files.forms import composed

UNMOUNTED = "the file system mounted here is gone: nothing below is taken for deleted"


class Folder(NamedTuple):
    """A listed subfolder: which one it is, and whether a file system is mounted on it."""

    device: int
    inode: int
    is_mount: bool


class Doubt(NamedTuple):
    """Folders whose missing files may still exist, in NFC; ``unmounted`` are those that lost their file system."""

    folders: frozenset[str] = frozenset()
    unmounted: frozenset[str] = frozenset()


class _Look(NamedTuple):
    """A doubted folder as a scan saw it."""

    folder: Folder
    is_filled: bool


class Subfolders:
    """Judges each scan's subfolders by those of the scans before; pure, folders are named by id in NFC.

    An emptied or replaced folder is believed by the second scan that shows it so. A mount point that lost its file
    system is not believed while it is empty: it may stay unmounted for days. ``mounts`` are the mount points that had
    files; they have to outlive the process, since a restart is when a mount fails.
    """

    def __init__(self) -> None:
        self.mounts: frozenset[str] = frozenset()
        self._filled: dict[str, Folder | None] = {}  # None: known from an earlier process, or not told apart yet
        self._doubted: dict[str, _Look] = {}

    def learn(self, ids: Iterable[str], mounts: Iterable[str]) -> None:
        """Take the files and mount points that an earlier process knew."""
        self._filled.update(dict.fromkeys(_with_ancestors(parent_of(composed(key)) for key in ids)))
        self.mounts = frozenset(mounts) & self._filled.keys()

    def judge(self, listed: Mapping[str, Folder], filled: Iterable[str], unknown: frozenset[str]) -> Doubt:
        """Return what to doubt, and remember this scan.

        ``listed`` are all subfolders that could be listed, ``filled`` those with a file right in them, and ``unknown``
        those that could not be listed.
        """
        now = _with_ancestors(filled)
        doubted: dict[str, _Look] = {}
        unmounted: set[str] = set()
        kept: dict[str, Folder | None] = {}
        for name, before in self._filled.items():
            if _is_at_or_below(name, unknown) or _is_at_or_below(name, doubted):
                # Parents come before what is below them: see _with_ancestors.
                kept[name] = before
                if name in listed:
                    doubted[name] = _Look(listed[name], name in now)
                continue
            folder = listed.get(name)
            if folder is None:
                continue  # the folder is gone, and the folder it was in says so
            if name not in now and name in self.mounts and not folder.is_mount:
                unmounted.add(name)
            elif name in now and (before is None or before[:2] == folder[:2]):
                continue
            elif self._doubted.get(name) == (folder, name in now):
                continue  # it is so for the second time
            doubted[name] = _Look(folder, name in now)
            kept[name] = before
        self._doubted = doubted
        self._filled = {name: listed.get(name) for name in now} | kept
        self.mounts = frozenset(
            name
            for name in self._filled
            if (name in self.mounts and name in kept) or ((folder := listed.get(name)) is not None and folder.is_mount)
        )
        return Doubt(frozenset(doubted), frozenset(unmounted))


def parent_of(key: str) -> str:
    """Return the id of the folder that a file is in; empty for the watched folder."""
    return key.rpartition("/")[0]


def _with_ancestors(folders: Iterable[str]) -> dict[str, None]:
    """Return these folders and all they are in but the watched one, parents first."""
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
