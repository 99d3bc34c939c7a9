"""Opens what is below a folder, and nothing else: no symbolic link that is put in at any moment leads out of it.

A path is checked and opened in two steps, and whoever may write to the folder can swap a part of it in between. So
every part is opened by itself, relative to the one before, and never through a link: what is open is below the folder.
"""

from __future__ import annotations

import errno
import os

from rag_pipeline.errors import UnsupportedFileTypeError
from rag_pipeline.ingest.extract.opening import open_regular

# O_PATH, which Linux has, asks for no right to list the folder; only the last part is listed, and needs it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def below(folder: str, path: str) -> str | None:
    """Return a real path relative to a real folder; None if it is not below that."""
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def is_at_or_below(path: str, folder: str | None) -> bool:
    """Return whether a real path is ``folder`` or leads below it."""
    return folder is not None and (path == folder or path.startswith(folder.rstrip("/") + "/"))


def open_folder(top: int, relative: str) -> int:
    """Return a descriptor of the folder at ``relative`` below the open folder ``top``, for listing.

    Raises OSError, with ENOTDIR or ELOOP if any part is a symbolic link.
    """
    above, _, name = relative.rpartition("/")
    parent = _pass_through(top, above)
    try:
        return os.open(name or ".", _LIST, dir_fd=parent)
    finally:
        os.close(parent)


def open_file(folder: str, path: str, *, exclude: str | None = None) -> int:
    """Return a descriptor of the regular file that ``path`` leads to, if that is below ``folder``.

    A link that leads to a file inside is followed. Raises FileNotFoundError for what leads out, or into ``exclude``,
    and for what is no regular file, and other OSErrors.
    """
    try:
        folder, target = os.path.realpath(folder), os.path.realpath(path)
    except OSError:  # a link that was looked at has become something else
        raise FileNotFoundError(errno.ENOENT, "is no longer there", path) from None
    relative = below(folder, target)
    if relative is None or is_at_or_below(target, exclude):
        raise FileNotFoundError(errno.ENOENT, "leads out of the folder", path)
    top = os.open(folder, _PASS)
    try:
        above, _, name = relative.rpartition("/")
        parent = _pass_through(top, above)
        try:
            return open_regular(name, folder=parent, follow=False)
        finally:
            os.close(parent)
    except UnsupportedFileTypeError:
        raise FileNotFoundError(errno.ENOENT, "is no longer a file", path) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # a part of it has become a link
            raise FileNotFoundError(errno.ENOENT, "is no longer there", path) from None
        error.filename = path
        raise
    finally:
        os.close(top)


def _pass_through(top: int, relative: str) -> int:
    """Return a descriptor of the folder, to open what is in it."""
    folder = os.open(".", _PASS, dir_fd=top)
    for part in filter(None, relative.split("/")):
        try:
            below = os.open(part, _PASS, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder
