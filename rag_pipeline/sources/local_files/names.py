"""From a path to the id the file keeps and the name people read."""

from __future__ import annotations

import re
from fnmatch import translate
from hashlib import blake2b
from urllib.parse import quote_from_bytes, unquote_to_bytes

from rag_pipeline.status.checks import MAX_NAME_LENGTH, readable

# What editors, browsers, office programs and systems leave beside the documents: never a document itself.
_IGNORED = (
    ".*",  # hidden, among them .git, .~lock.x#, .x.swp and the state folder
    "~$*",
    "*~",
    "#*#",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.swp",
    "*.swx",
    "Thumbs.db",
    "desktop.ini",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
    "__pycache__",
)
_PASSED_OVER = re.compile("|".join(translate(pattern) for pattern in _IGNORED))


def ignored(name: str) -> bool:
    """Return whether a file or folder of this name is passed over in silence."""
    return _PASSED_OVER.match(name) is not None


def raw(path: str) -> bytes:
    """Return the bytes the file system knows the path by."""
    return path.encode("utf-8", "surrogateescape")


def file_id(relative: str) -> str:
    """Return the id of the file at a path relative to the watched folder: unique, stable, valid Unicode.

    It is the path itself; a backslash is doubled and a byte that is not UTF-8 becomes ``\\xNN``, so that no two paths
    share an id. A path too long to be shown is cut and ends in a hash of the whole.
    """
    text = relative
    if not text.isascii() or "\\" in text:
        text = raw(text.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
    if len(text) > MAX_NAME_LENGTH:
        text = f"{text[: MAX_NAME_LENGTH - 41]}…{blake2b(raw(relative), digest_size=20).hexdigest()}"
    return text


def display_name(relative: str) -> str:
    """Return the name to show for a relative path; two files can share it, never their ids."""
    text = readable(relative)
    return text if len(text) <= MAX_NAME_LENGTH else "…" + text[1 - MAX_NAME_LENGTH :]


def uri(path: str) -> str:
    """Return the ``file://`` address of an absolute path."""
    return "file://" + quote_from_bytes(raw(path))


def path_of(uri: str) -> str:
    """Return the path that :func:`uri` was given."""
    return unquote_to_bytes(uri.removeprefix("file://")).decode("utf-8", "surrogateescape")
