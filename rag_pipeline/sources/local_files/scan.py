"""The scan: what is in the watched folder at this moment. It is the truth; all else are hints.

Real files come first, links after them in the order of their paths, so that one file that can be reached in several
ways keeps the same id from scan to scan. A link to a file is followed if the file is in the folder too, or if a setting
says so: whoever may write to the folder could otherwise have any file read that the service can. A link to a folder is
not followed: no loop can come about. Folders are opened without following links, so that none can be put in meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rag_pipeline.sources.following.source import FoundFile, Oddity
from rag_pipeline.sources.local_files.beneath import below, is_at_or_below, open_folder
from rag_pipeline.sources.local_files.forms import composed
from rag_pipeline.sources.local_files.names import display_name, file_id, ignored, uri
from rag_pipeline.sources.local_files.subfolders import Folder

_NO_LONGER_THERE = (FileNotFoundError, NotADirectoryError)
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Scan(NamedTuple):
    """What one pass over the folder found.

    ``unknown`` holds the ids of folders that could not be listed: what is below them may still be there.
    ``identity`` is device and inode of the folder itself. ``folders`` are the listed subfolders and ``filled`` those
    with a file right in them, by id in NFC. ``devices`` are those of all listed folders. ``is_plain`` says that every
    file was found under its only name, so that whoever watches these folders is told of any change.
    """

    files: dict[str, FoundFile]
    oddities: dict[str, Oddity]
    unknown: frozenset[str]
    identity: str
    folders: Mapping[str, Folder] = {}
    filled: frozenset[str] = frozenset()
    devices: frozenset[int] = frozenset()
    is_plain: bool = False


class FolderUnavailableError(Exception):
    """The watched folder itself can't be listed: nothing is known of what is in it."""


def version_of(info: os.stat_result) -> str:
    """Return the version of a file: size, and the times of change of content and inode.

    The inode's own time is part of it, since tools that copy set the modification time back to an old one. The inode
    is not: FUSE, overlays and shares number files anew, and whoever replaces a file changes the time of its inode.
    """
    return f"{info.st_size}:{info.st_mtime_ns}:{info.st_ctime_ns}"


def current_version(path: str) -> str:
    """Return the version of the file at the path now; raises OSError."""
    return version_of(os.stat(path))  # noqa: PTH116 - the name may be no UTF-8


def is_same_content(version: str, other: str) -> bool:
    """Return whether two versions differ at most in the time of the inode, as by a new mode, tag or link."""
    return version.rpartition(":")[0] == other.rpartition(":")[0]


def without_inode(version: str | None) -> str | None:
    """Return the version as it is made now; older ledgers have the inode at its end."""
    return ":".join(version.split(":")[:3]) if version is not None else None


def identity_of(root: str) -> str:
    """Return which folder is at the path now; raises OSError."""
    info = os.stat(root)  # noqa: PTH116
    return f"{info.st_dev}:{info.st_ino}"


def scan(
    root: str,
    *,
    exclude: str | None = None,
    check: Callable[[], None] = lambda: None,
    before: Mapping[str, FoundFile] | None = None,
    mount_points: frozenset[str] = frozenset(),
    kernel_devices: frozenset[int] = frozenset(),
    follow_outside: bool = False,
) -> Scan:
    """Walk the folder and its subfolders, leaving out ``exclude``; ``check`` is called for each and may raise.

    ``follow_outside`` takes files elsewhere that links lead to, but for those on ``kernel_devices``, such as ``/proc``.

    ``before`` are the files of an earlier scan: those that are as they were are taken from there, at a third of the
    cost. Raises :class:`FolderUnavailableError` if the folder itself can't be listed, or is another one in the end:
    what is missing below may have gone with it.
    """
    walk = _Walk(root, exclude, before or {}, mount_points, kernel_devices if follow_outside else None)
    walk.run(check)
    return Scan(
        walk.files,
        walk.oddities,
        frozenset(walk.unknown),
        walk.identity,
        walk.folders,
        frozenset(walk.filled),
        frozenset(walk.devices),
        walk.is_plain,
    )


class _Walk:
    def __init__(
        self,
        root: str,
        exclude: str | None,
        before: Mapping[str, FoundFile],
        mount_points: frozenset[str],
        outside_but: frozenset[int] | None,
    ) -> None:
        """``outside_but`` are the devices whose files are not taken through links that lead out; None: no such link."""
        self.files: dict[str, FoundFile] = {}
        self.oddities: dict[str, Oddity] = {}
        self.unknown: set[str] = set()
        self.identity = ""
        self.folders: dict[str, Folder] = {}
        self.filled: set[str] = set()
        self.devices: set[int] = set()
        self._before = before
        self._mount_points = mount_points
        self._root = root
        self._real_root = os.path.realpath(root)
        self._top = -1
        self._exclude = exclude
        self._excluded = None if exclude is None else below(self._real_root, exclude)
        self._outside_but = outside_but
        self._links: list[str] = []
        # Files with several names, by device and inode: each is taken once, under the first of its names.
        self._several: dict[tuple[int, int], list[tuple[str, os.stat_result]]] = {}

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
            except _NO_LONGER_THERE:
                # Listed a moment ago, so it may be there again the next moment, as on a share that breaks.
                self.unknown.add(file_id(folder))
            except OSError as error:
                self.unknown.add(file_id(folder))
                self._odd(folder, f"the folder can't be listed: {error.strerror}", is_error=True)
        self._take_several()
        for link in sorted(self._links):
            self._follow(link)
        try:
            now = identity_of(self._root)
        except OSError as error:
            raise FolderUnavailableError(error.strerror or str(error)) from None
        if now != self.identity:
            raise FolderUnavailableError("another one has taken its place meanwhile")

    @property
    def is_plain(self) -> bool:
        """Whether no file has another name, here or elsewhere, and all could be looked at."""
        errors = any(odd.is_error for odd in self.oddities.values())
        return not (self._links or self._several or self.unknown or errors)

    def _enter(self, folder: str, parent_device: int) -> int:
        """Remember which folder this is; return its device. Raises OSError."""
        path = self._absolute(folder)
        info = os.stat(path, follow_symlinks=False)  # noqa: PTH116
        is_mount = info.st_dev != parent_device or path in self._mount_points
        self.folders[composed(file_id(folder))] = Folder(info.st_dev, info.st_ino, is_mount)
        self.devices.add(info.st_dev)
        return info.st_dev

    def _list(self, folder: str) -> Iterator[str]:
        """Take the files of a folder, and yield its subfolders; ``folder`` is relative to the root."""
        prefix = f"{folder}/" if folder else ""
        is_filled = False
        opened = open_folder(self._top, folder)
        try:
            with os.scandir(opened) as entries:
                for entry in entries:
                    relative = prefix + entry.name
                    if relative in self._before and self._is_as_before(relative, entry):
                        is_filled = True
                        continue
                    if ignored(entry.name) or relative == self._excluded:
                        continue
                    if entry.is_symlink():
                        self._links.append(relative)
                    elif entry.is_dir(follow_symlinks=False):
                        yield relative
                        continue
                    else:
                        self._look_at(relative, entry)
                    is_filled = True
        finally:
            os.close(opened)
        if is_filled:
            self.filled.add(composed(file_id(folder)))

    def _is_as_before(self, relative: str, entry: os.DirEntry[str]) -> bool:
        """Take a file from the scan before if nothing about it has changed; most files of most scans."""
        # An id with a backslash or in several Unicode forms may stand for another path.
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

    def _look_at(self, relative: str, entry: os.DirEntry[str]) -> None:
        try:
            info = entry.stat(follow_symlinks=False)
        except _NO_LONGER_THERE:
            return
        except OSError as error:
            self._odd(relative, f"can't be looked at: {error.strerror}", is_error=True)
            return
        if not stat.S_ISREG(info.st_mode):
            self._odd(relative, f"{_SPECIAL.get(stat.S_IFMT(info.st_mode), 'not a file')}: not a document")
        elif info.st_nlink > 1:
            self._several.setdefault((info.st_dev, info.st_ino), []).append((relative, info))
        else:
            self._take(relative, self._absolute(relative), info)

    def _take_several(self) -> None:
        for names in self._several.values():
            names.sort(key=lambda item: item[0])
            (first, info), *others = names
            self._take(first, self._absolute(first), info)
            for other, _ in others:
                self._odd(other, f"the same file as {display_name(first)} (a hard link)")

    def _follow(self, link: str) -> None:
        path = self._absolute(link)
        try:
            target = os.path.realpath(path)
        except OSError as error:  # it has become something else while it was looked at
            self._odd(link, f"a symbolic link that can't be followed: {error.strerror}", is_error=True)
            return
        if is_at_or_below(target, self._exclude):
            self._odd(link, "a symbolic link into the state folder: not followed")
            return
        # Before anything is asked of the target: whether there is one is nobody's business.
        if self._outside_but is None and not is_at_or_below(target, self._real_root):
            self._odd(link, TO_OUTSIDE)
            return
        try:
            info = os.stat(path)  # noqa: PTH116
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._odd(link, "a symbolic link that leads back to itself")
            elif isinstance(error, _NO_LONGER_THERE):
                if os.path.islink(path):  # noqa: PTH114
                    self._odd(link, "a symbolic link to nothing")
            else:
                self._odd(link, f"a symbolic link that can't be followed: {error.strerror}", is_error=True)
            return
        if stat.S_ISDIR(info.st_mode):
            loops = is_at_or_below(os.path.join(self._real_root, os.path.dirname(link)), target)  # noqa: PTH118, PTH120
            self._odd(link, "a symbolic link " + ("that loops back to a folder it is in" if loops else _TO_FOLDER))
        elif not stat.S_ISREG(info.st_mode):
            self._odd(link, f"a symbolic link to {_SPECIAL.get(stat.S_IFMT(info.st_mode), 'no file')}: not a document")
        elif self._outside_but is not None and info.st_dev in self._outside_but:
            self._odd(link, "a symbolic link to a file of the kernel's: not a document")
        else:
            self._take_link(link, below(self._real_root, target), info)

    def _take_link(self, link: str, target: str | None, info: os.stat_result) -> None:
        """Take the file that a link leads to; ``target`` is its path here, None if it is elsewhere."""
        if target is not None and file_id(target) in self.files:
            self._odd(link, f"the same file as {display_name(target)} (a symbolic link)")
            return
        same = self._several.setdefault((info.st_dev, info.st_ino), [])
        if same:
            self._odd(link, f"the same file as {display_name(same[0][0])} (a symbolic link)")
            return
        same.append((link, info))
        self._take(link, self._absolute(link), info)

    def _take(self, relative: str, path: str, info: os.stat_result) -> None:
        key = file_id(relative)
        version = version_of(info)
        file = self._before.get(key)
        # Only the id of a name that has several Unicode forms stands for several paths.
        if file is None or file.version != version or not (key.isascii() or file.uri == uri(path)):
            file = FoundFile(key, display_name(relative), uri(path), info.st_size, info.st_mtime, version)
        self.files[key] = file

    def _odd(self, relative: str, reason: str, *, is_error: bool = False) -> None:
        key = file_id(relative)
        self.oddities[key] = Oddity(key, display_name(relative), reason, is_error)

    def _absolute(self, relative: str) -> str:
        return os.path.join(self._root, relative)  # noqa: PTH118


FOLLOW_KEY = "RAG_FOLLOW_OUTSIDE_LINKS"
TO_OUTSIDE = f"a symbolic link that leads out of the folder: not followed ({FOLLOW_KEY}=1 takes the file)"
_TO_FOLDER = "to a folder: not followed, watch that folder itself"
