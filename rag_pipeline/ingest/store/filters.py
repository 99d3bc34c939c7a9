"""Matches files against the filter of a search, in Python or in SQL with the same result."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from rag_pipeline.ingest.types import SearchFilter, SourceFile


def patterns(only: SearchFilter) -> tuple[list[str], str | None, str | None]:
    """Return the patterns of a filter: for a file's id or name, for its MIME type, and for its name in lower case.

    A path without ``*`` and ``?`` also stands for everything in the folder of that name. None allows every file.
    """
    paths = [] if only.path is None else [only.path]
    if only.path is not None and not set("*?") & set(only.path):
        paths.append(f"{only.path.rstrip('/')}/*")
    if only.type is None:
        return paths, None, None
    kind = only.type.lower()
    return (paths, kind, None) if "/" in kind else (paths, None, f"*.{kind.lstrip('.')}")


def as_like(pattern: str) -> str:
    """Return the pattern for SQL's LIKE."""
    for character in ("\\", "%", "_"):
        pattern = pattern.replace(character, f"\\{character}")
    return pattern.replace("*", "%").replace("?", "_")


def file_test(only: SearchFilter) -> Callable[[SourceFile], bool] | None:
    """Return a test for the path and type of files; None if every file passes."""
    paths, mime_type, name = patterns(only)
    if not paths and mime_type is None and name is None:
        return None
    path_tests = [_glob_test(path) for path in paths]
    type_test = None if mime_type is None else _glob_test(mime_type)
    name_test = None if name is None else _glob_test(name)

    def passes(file: SourceFile) -> bool:
        return (
            (not path_tests or any(test(file.file_id) or test(file.name) for test in path_tests))
            and (type_test is None or type_test((file.mime_type or "").lower()))
            and (name_test is None or name_test(file.name.lower()))
        )

    return passes


def _glob_test(pattern: str) -> Callable[[str], bool]:
    """Return a test for whole strings; linear time for each ``*``. Brackets stand for themselves, as in SQL."""
    glob = pattern.replace("[", "[[]")
    return lambda text: fnmatchcase(text, glob)
