"""Matches files against the filter of a search, in Python or in SQL with the same result."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NamedTuple

from rag_pipeline.ingest.types import SearchFilter, SourceFile

_MAIL = ("message/rfc822", "application/mbox", "application/vnd.ms-outlook")
# What people call types whose MIME type has another name.
_KINDS = {
    "word": ("application/msword", "*.wordprocessingml.document"),
    "excel": ("application/vnd.ms-excel*", "*.spreadsheetml.sheet"),
    "powerpoint": ("application/vnd.ms-powerpoint", "*.presentationml.presentation"),
    "text": ("text/plain",),
    "mail": _MAIL,
    "email": _MAIL,
    "e-mail": _MAIL,
    "notebook": ("application/x-ipynb+json",),
    "image": ("image/*",),
}


class Patterns(NamedTuple):
    """The patterns of a filter, of which one of each kind must match; no pattern of a kind allows every file.

    paths: for a file's id or name.
    mime_types: in lower case; a file may match ``names`` instead.
    names: for a file's name in lower case.
    """

    paths: tuple[str, ...] = ()
    mime_types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def patterns(only: SearchFilter) -> Patterns:
    """Return the patterns of a filter.

    A path without a slash also stands for files of that name in any folder, and one without ``*`` and ``?`` for
    everything in the folder of that name.
    """
    return Patterns(_paths(only.path), *_types(only.type))


def _paths(path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    paths = [path]
    if "/" not in path:
        paths.append(f"*/{path}")
    if not set("*?") & set(path):
        paths.append(f"{path.rstrip('/')}/*")
    return tuple(paths)


def _types(kind: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if kind is None:
        return (), ()
    kind = kind.lower().lstrip(".")
    if "/" in kind:
        return (kind,), ()
    return (f"*/{kind}", *_KINDS.get(kind, ())), (f"*.{kind}",)


def as_like(pattern: str) -> str:
    """Return the pattern for SQL's LIKE."""
    for character in ("\\", "%", "_"):
        pattern = pattern.replace(character, f"\\{character}")
    return pattern.replace("*", "%").replace("?", "_")


def file_test(only: SearchFilter) -> Callable[[SourceFile], bool] | None:
    """Return a test for the path and type of files; None if every file passes."""
    paths, mime_types, names = (tuple(map(_glob_test, some)) for some in patterns(only))
    if not (paths or mime_types or names):
        return None

    def passes(file: SourceFile) -> bool:
        if paths and not any(test(file.file_id) or test(file.name) for test in paths):
            return False
        if not (mime_types or names):
            return True
        mime_type, name = (file.mime_type or "").lower(), file.name.lower()
        return any(test(mime_type) for test in mime_types) or any(test(name) for test in names)

    return passes


def _glob_test(pattern: str) -> Callable[[str], bool]:
    """Return a test for whole strings; linear time for each ``*``. Brackets stand for themselves, as in SQL."""
    glob = pattern.replace("[", "[[]")
    return lambda text: fnmatchcase(text, glob)
