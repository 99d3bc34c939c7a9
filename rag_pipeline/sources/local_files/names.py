"""Derives a file's id, its displayed name and its URI from its path; decides which names are ignored."""

from __future__ import annotations

import re
from fnmatch import translate
from hashlib import blake2b
from urllib.parse import quote_from_bytes, unquote_to_bytes

from rag_pipeline.status.checks import MAX_NAME_LENGTH, readable

# Files that editors, browsers, office programs and systems leave beside the documents.
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
_IGNORED_PATTERN = re.compile("|".join(translate(pattern) for pattern in _IGNORED))


def is_ignored(name: str) -> bool:
    """Return whether files and folders with this name are ignored silently."""
    return _IGNORED_PATTERN.match(name) is not None


def raw(path: str) -> bytes:
    """Return the path's bytes, as the file system has them."""
    return path.encode("utf-8", "surrogateescape")


def file_id(relative: str) -> str:
    """Return the id of the file at a path relative to the watched folder: unique, stable and valid Unicode.

    It is the path itself; a backslash is doubled and a byte that is not UTF-8 becomes ``\\xNN``, so no two paths share
    an id. A path that is too long is cut and ends in a hash of the whole.
    """
    text = relative
    if not text.isascii() or "\\" in text:
        text = raw(text.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
    if len(text) > MAX_NAME_LENGTH:
        text = f"{text[: MAX_NAME_LENGTH - 41]}…{blake2b(raw(relative), digest_size=20).hexdigest()}"
    return text


def display_name(relative: str) -> str:
    """Return the name to show for a relative path; two files may share a name, but never an id."""
    text = readable(relative)
    return text if len(text) <= MAX_NAME_LENGTH else "…" + text[1 - MAX_NAME_LENGTH :]


def uri(path: str) -> str:
    """Return the ``file://`` URI of an absolute path."""
    return "file://" + quote_from_bytes(raw(path))


def path_of(uri: str) -> str:
    """Return the path of a URI made by :func:`uri`."""
    return unquote_to_bytes(uri.removeprefix("file://")).decode("utf-8", "surrogateescape")
