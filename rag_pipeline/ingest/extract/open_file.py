"""Open regular files for reading; never block in ``open`` or activate a device."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from rag_pipeline.errors import UnsupportedFileTypeError

FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_SPECIAL_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: str, *, folder: int | None = None, follow: bool = True) -> int:
    """Return a descriptor of the file; ``path`` is relative to the descriptor ``folder``, if given.

    Raises :class:`~rag_pipeline.errors.UnsupportedFileTypeError` if it is not a regular file, or OSError. Without
    ``follow``, a symbolic link raises too.
    """
    _refuse_special(os.stat(path, dir_fd=folder, follow_symlinks=follow).st_mode)
    descriptor = os.open(path, FLAGS | (0 if follow else os.O_NOFOLLOW), dir_fd=folder)
    try:
        _refuse_special(os.fstat(descriptor).st_mode)  # again: the path may name another file by now
        with suppress(OSError, AttributeError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_special(mode: int) -> None:
    for is_kind, label in _SPECIAL_FILES:
        if is_kind(mode):
            raise UnsupportedFileTypeError(f"is {label}, not a file")
