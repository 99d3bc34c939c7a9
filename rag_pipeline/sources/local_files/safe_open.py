"""Opens files and folders below a folder, and never anything outside of it, whatever links are put in meanwhile.

A path is checked and opened in two steps, and whoever may write to the folder can swap a part of it in between. So each
part is opened relative to the one before, and never through a symbolic link.
"""

from __future__ import annotations

import errno
import os

from rag_pipeline.errors import UnsupportedFileTypeError
from rag_pipeline.ingest.extract.open_file import open_regular

# O_PATH, which Linux has, needs no right to list the folder; only the last part is listed, and needs it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def below(folder: str, path: str) -> str | None:
    """Return a real path relative to a real folder; None if it is not below the folder."""
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def is_at_or_below(path: str, folder: str | None) -> bool:
    """Return whether a real path is ``folder`` or below it."""
    return folder is not None and (path == folder or path.startswith(folder.rstrip("/") + "/"))


def open_folder(top: int, relative: str) -> int:
    """Return a descriptor of the folder at ``relative`` below the open folder ``top``, for listing.

    Raises OSError, with ENOTDIR or ELOOP if any part is a symbolic link.
    """
    parent_path, _, name = relative.rpartition("/")
    parent = _walk_to(top, parent_path)
    try:
        return os.open(name or ".", _LIST, dir_fd=parent)
    finally:
        os.close(parent)


def open_file(folder: str, path: str, *, exclude: str | None = None) -> int:
    """Return a descriptor of the regular file that ``path`` leads to, if it is below ``folder``.

    A link to a file inside the folder is followed. Raises FileNotFoundError for paths that lead out of the folder or
    into ``exclude``, and for anything but regular files; also other OSErrors.
    """
    try:
        folder, target = os.path.realpath(folder), os.path.realpath(path)
    except OSError:  # a link was replaced while it was resolved
        raise FileNotFoundError(errno.ENOENT, "is no longer there", path) from None
    relative = below(folder, target)
    if relative is None or is_at_or_below(target, exclude):
        raise FileNotFoundError(errno.ENOENT, "leads out of the folder", path)
    top = os.open(folder, _PASS)
    try:
        parent_path, _, name = relative.rpartition("/")
        parent = _walk_to(top, parent_path)
        try:
            return open_regular(name, folder=parent, follow=False)
        finally:
            os.close(parent)
    except UnsupportedFileTypeError:
        raise FileNotFoundError(errno.ENOENT, "is no longer a file", path) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # a part of the path has become a link
            raise FileNotFoundError(errno.ENOENT, "is no longer there", path) from None
        error.filename = path
        raise
    finally:
        os.close(top)


def _walk_to(top: int, relative: str) -> int:
    """Return a descriptor of the folder, for opening what is in it."""
    folder = os.open(".", _PASS, dir_fd=top)
    for part in filter(None, relative.split("/")):
        try:
            subfolder = os.open(part, _PASS, dir_fd=folder)
        finally:
            os.close(folder)
        folder = subfolder
    return folder
