"""Scans the watched folder for all its files.

Real files come first, then links in the order of their paths, so that a file with several paths keeps its id from scan
to scan. A link to a file is followed if the file is in the folder too, or if a setting allows it: otherwise whoever may
write to the folder could make the service read any file. Links to folders are not followed, so there are no loops.
Folders are opened without following links, so that none can be put in meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rag_pipeline.sources.local_files.names import display_name, file_id, is_ignored, uri
from rag_pipeline.sources.local_files.safe_open import below, is_at_or_below, open_folder
from rag_pipeline.sources.local_files.subfolders import Subfolder
from rag_pipeline.sources.local_files.unicode_ids import normalize_id
from rag_pipeline.sources.source import FoundFile, Unreadable

FOLLOW_KEY = "RAG_FOLLOW_OUTSIDE_LINKS"
TO_OUTSIDE = f"a symbolic link that leads out of the folder: not followed ({FOLLOW_KEY}=1 takes the file)"
_TO_FOLDER = "to a folder: not followed, watch that folder itself"
_NOT_FOUND = (FileNotFoundError, NotADirectoryError)
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FolderScan(NamedTuple):
    """The result of one scan.

    unlisted: ids of folders that could not be listed; the files below them may still exist.
    identity: device and inode of the folder itself.
    folders: the listed subfolders, by id in NFC; ``with_files`` are those with a file directly in them.
    devices: the devices of all listed folders.
    is_plain: every file was found under its only name, so a watch on these folders sees every change.
    """

    files: dict[str, FoundFile]
    unreadable: dict[str, Unreadable]
    unlisted: frozenset[str]
    identity: str
    folders: Mapping[str, Subfolder] = {}
    with_files: frozenset[str] = frozenset()
    devices: frozenset[int] = frozenset()
    is_plain: bool = False


class FolderUnavailableError(Exception):
    """The watched folder itself can't be listed."""


def version_of(info: os.stat_result) -> str:
    """Return the version of a file: size, modification time and inode change time.

    The inode change time is included because copying tools may set an old modification time. The inode number is not:
    FUSE, overlays and shares renumber files, and replacing a file changes its inode change time anyway.
    """
    return f"{info.st_size}:{info.st_mtime_ns}:{info.st_ctime_ns}"


def current_version(path: str) -> str:
    """Return the current version of the file at the path; raises OSError."""
    return version_of(os.stat(path))  # noqa: PTH116 - the name may be no UTF-8


def is_same_content(version: str, other: str) -> bool:
    """Return whether two versions differ at most in the inode change time, as after a new mode, tag or link."""
    return version.rpartition(":")[0] == other.rpartition(":")[0]


def without_inode(version: str | None) -> str | None:
    """Return the version without the inode number that older ledgers have at its end."""
    return ":".join(version.split(":")[:3]) if version is not None else None


def identity_of(root: str) -> str:
    """Return device and inode of the folder at the path; raises OSError."""
    info = os.stat(root)  # noqa: PTH116
    return f"{info.st_dev}:{info.st_ino}"


def scan_folder(
    root: str,
    *,
    exclude: str | None = None,
    check: Callable[[], None] = lambda: None,
    before: Mapping[str, FoundFile] | None = None,
    mount_points: frozenset[str] = frozenset(),
    kernel_devices: frozenset[int] = frozenset(),
    follow_outside: bool = False,
) -> FolderScan:
    """Walk the folder and its subfolders except ``exclude``; ``check`` is called for each folder and may raise.

    follow_outside: follow links to files outside the folder, except files on ``kernel_devices``, such as ``/proc``.
    before: the files of an earlier scan; unchanged ones are taken from there, at a third of the cost.

    Raises :class:`FolderUnavailableError` if the folder itself can't be listed, or if another folder has its path at
    the end: files that are missing may have gone with the first one.
    """
    walk = _Walk(root, exclude, before or {}, mount_points, kernel_devices if follow_outside else None)
    walk.run(check)
    return FolderScan(
        walk.files,
        walk.unreadable,
        frozenset(walk.unlisted),
        walk.identity,
        walk.folders,
        frozenset(walk.with_files),
        frozenset(walk.devices),
        walk.is_plain,
    )


class _Walk:
    """The state of one scan."""

    def __init__(
        self,
        root: str,
        exclude: str | None,
        before: Mapping[str, FoundFile],
        mount_points: frozenset[str],
        excluded_devices: frozenset[int] | None,
    ) -> None:
        """``excluded_devices``: links outside may not lead to files on them; None: links may not lead outside."""
        self.files: dict[str, FoundFile] = {}
        self.unreadable: dict[str, Unreadable] = {}
        self.unlisted: set[str] = set()
        self.identity = ""
        self.folders: dict[str, Subfolder] = {}
        self.with_files: set[str] = set()
        self.devices: set[int] = set()
        self._before = before
        self._mount_points = mount_points
        self._root = root
        self._real_root = os.path.realpath(root)
        self._top = -1
        self._exclude = exclude
        self._excluded = None if exclude is None else below(self._real_root, exclude)
        self._excluded_devices = excluded_devices
        self._links: list[str] = []
        # Files with several names, by device and inode: each is added once, under the first of its names.
        self._by_inode: dict[tuple[int, int], list[tuple[str, os.stat_result]]] = {}

    def run(self, check: Callable[[], None]) -> None:
        try:
            self._top = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FolderUnavailableError(error.strerror or str(error)) from None
        try:
            self._run(check)
        finally:
            os.close(self._top)

    def _run(self, check: Callable[[], None]) -> None:
        info = os.fstat(self._top)
        self.identity = f"{info.st_dev}:{info.st_ino}"
        self.devices.add(info.st_dev)
        try:
            folders = [(name, info.st_dev) for name in self._list("")]
        except OSError as error:
            raise FolderUnavailableError(error.strerror or str(error)) from None
        while folders:
            check()
            folder, device = folders.pop()
            try:
                own_device = self._enter(folder, device)
                folders += [(name, own_device) for name in self._list(folder)]
            except _NOT_FOUND:
                # It was listed a moment ago, so it may be back the next moment, as on a share that breaks.
                self.unlisted.add(file_id(folder))
            except OSError as error:
                self.unlisted.add(file_id(folder))
                self._add_unreadable(folder, f"the folder can't be listed: {error.strerror}", is_error=True)
        self._add_hard_links()
        for link in sorted(self._links):
            self._follow(link)
        try:
            now = identity_of(self._root)
        except OSError as error:
            raise FolderUnavailableError(error.strerror or str(error)) from None
        if now != self.identity:
            raise FolderUnavailableError("another folder has its path now")

    @property
    def is_plain(self) -> bool:
        """Whether no file has another name, inside or outside, and all could be read."""
        errors = any(entry.is_error for entry in self.unreadable.values())
        return not (self._links or self._by_inode or self.unlisted or errors)

    def _enter(self, folder: str, parent_device: int) -> int:
        """Record the folder; return its device. Raises OSError."""
        path = self._absolute(folder)
        info = os.stat(path, follow_symlinks=False)  # noqa: PTH116
        is_mount = info.st_dev != parent_device or path in self._mount_points
        self.folders[normalize_id(file_id(folder))] = Subfolder(info.st_dev, info.st_ino, is_mount)
        self.devices.add(info.st_dev)
        return info.st_dev

    def _list(self, folder: str) -> Iterator[str]:
        """Add the files of a folder, and yield its subfolders; ``folder`` is relative to the root."""
        prefix = f"{folder}/" if folder else ""
        has_files = False
        opened = open_folder(self._top, folder)
        try:
            with os.scandir(opened) as entries:
                for entry in entries:
                    relative = prefix + entry.name
                    if relative in self._before and self._add_unchanged(relative, entry):
                        has_files = True
                        continue
                    if is_ignored(entry.name) or relative == self._excluded:
                        continue
                    if entry.is_symlink():
                        self._links.append(relative)
                    elif entry.is_dir(follow_symlinks=False):
                        yield relative
                        continue
                    else:
                        self._add_entry(relative, entry)
                    has_files = True
        finally:
            os.close(opened)
        if has_files:
            self.with_files.add(normalize_id(file_id(folder)))

    def _add_unchanged(self, relative: str, entry: os.DirEntry[str]) -> bool:
        """Add the file of the earlier scan if it has not changed; return whether it was added."""
        # An id with a backslash, or not in ASCII, may stand for another path.
        if not (relative.isascii() and entry.is_file(follow_symlinks=False)) or "\\" in relative:
            return False
        try:
            info = entry.stat(follow_symlinks=False)
        except OSError:
            return False
        file = self._before[relative]
        if info.st_nlink != 1 or version_of(info) != file.version:
            return False
        self.files[relative] = file
        return True

    def _add_entry(self, relative: str, entry: os.DirEntry[str]) -> None:
        try:
            info = entry.stat(follow_symlinks=False)
        except _NOT_FOUND:
            return
        except OSError as error:
            self._add_unreadable(relative, f"can't be accessed: {error.strerror}", is_error=True)
            return
        if not stat.S_ISREG(info.st_mode):
            self._add_unreadable(relative, f"{_SPECIAL.get(stat.S_IFMT(info.st_mode), 'not a file')}: not a document")
        elif info.st_nlink > 1:
            self._by_inode.setdefault((info.st_dev, info.st_ino), []).append((relative, info))
        else:
            self._add(relative, self._absolute(relative), info)

    def _add_hard_links(self) -> None:
        for names in self._by_inode.values():
            names.sort(key=lambda item: item[0])
            (first, info), *others = names
            self._add(first, self._absolute(first), info)
            for other, _ in others:
                self._add_unreadable(other, f"the same file as {display_name(first)} (a hard link)")

    def _follow(self, link: str) -> None:
        path = self._absolute(link)
        try:
            target = os.path.realpath(path)
        except OSError as error:  # it was replaced while it was resolved
            self._add_unreadable(link, f"a symbolic link that can't be followed: {error.strerror}", is_error=True)
            return
        if is_at_or_below(target, self._exclude):
            self._add_unreadable(link, "a symbolic link into the state folder: not followed")
            return
        # Before the target is accessed: a link must not reveal whether a file outside exists.
        if self._excluded_devices is None and not is_at_or_below(target, self._real_root):
            self._add_unreadable(link, TO_OUTSIDE)
            return
        try:
            info = os.stat(path)  # noqa: PTH116
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._add_unreadable(link, "a symbolic link that leads back to itself")
            elif isinstance(error, _NOT_FOUND):
                if os.path.islink(path):  # noqa: PTH114
                    self._add_unreadable(link, "a symbolic link to nothing")
            else:
                self._add_unreadable(link, f"a symbolic link that can't be followed: {error.strerror}", is_error=True)
            return
        if stat.S_ISDIR(info.st_mode):
            loops = is_at_or_below(os.path.join(self._real_root, os.path.dirname(link)), target)  # noqa: PTH118, PTH120
            self._add_unreadable(
                link, "a symbolic link " + ("that loops back to a folder it is in" if loops else _TO_FOLDER)
            )
        elif not stat.S_ISREG(info.st_mode):
            self._add_unreadable(
                link, f"a symbolic link to {_SPECIAL.get(stat.S_IFMT(info.st_mode), 'no file')}: not a document"
            )
        elif self._excluded_devices is not None and info.st_dev in self._excluded_devices:
            self._add_unreadable(link, "a symbolic link to a file of the kernel's: not a document")
        else:
            self._add_link_target(link, below(self._real_root, target), info)

    def _add_link_target(self, link: str, target: str | None, info: os.stat_result) -> None:
        """Add the file that a link leads to; ``target`` is its path in the folder, None if it is outside."""
        if target is not None and file_id(target) in self.files:
            self._add_unreadable(link, f"the same file as {display_name(target)} (a symbolic link)")
            return
        same = self._by_inode.setdefault((info.st_dev, info.st_ino), [])
        if same:
            self._add_unreadable(link, f"the same file as {display_name(same[0][0])} (a symbolic link)")
            return
        same.append((link, info))
        self._add(link, self._absolute(link), info)

    def _add(self, relative: str, path: str, info: os.stat_result) -> None:
        key = file_id(relative)
        version = version_of(info)
        file = self._before.get(key)
        # Only an id that is not in ASCII can stand for several paths, in several Unicode normal forms.
        if file is None or file.version != version or not (key.isascii() or file.uri == uri(path)):
            file = FoundFile(key, display_name(relative), uri(path), info.st_size, info.st_mtime, version)
        self.files[key] = file

    def _add_unreadable(self, relative: str, reason: str, *, is_error: bool = False) -> None:
        key = file_id(relative)
        self.unreadable[key] = Unreadable(key, display_name(relative), reason, is_error)

    def _absolute(self, relative: str) -> str:
        return os.path.join(self._root, relative)  # noqa: PTH118
