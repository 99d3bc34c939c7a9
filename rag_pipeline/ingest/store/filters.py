"""Matches files against the filter of a search, in Python or in SQL with the same result."""

from __future__ import annotations

import re
from collections.abc import Callable

from rag_pipeline.ingest.types import SearchFilter, SourceFile

_WILDCARDS = re.compile(r"[*?]")


def patterns(only: SearchFilter) -> tuple[list[str], str | None, str | None]:
    """Return the patterns of a filter: for a file's id or name, for its MIME type, and for its name in lower case.

    A path without ``*`` and ``?`` also stands for everything in the folder of that name. None allows every file.
    """
    paths = [] if only.path is None else [only.path]
    if only.path is not None and _WILDCARDS.search(only.path) is None:
        paths.append(f"{only.path.rstrip('/')}/*")
    if only.type is None:
        return paths, None, None
    kind = only.type.lower()
    return (paths, kind, None) if "/" in kind else (paths, None, f"*.{kind.lstrip('.')}")


def as_like(pattern: str) -> str:
    """Return the pattern for SQL's LIKE."""
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")


def file_test(only: SearchFilter) -> Callable[[SourceFile], bool] | None:
    """Return a test for the path and type of files; None if every file passes."""
    paths, mime_type, name = patterns(only)
    if not paths and mime_type is None and name is None:
        return None
    path_tests = [_compiled(path) for path in paths]
    type_test = None if mime_type is None else _compiled(mime_type)
    name_test = None if name is None else _compiled(name)

    def passes(file: SourceFile) -> bool:
        return (
            (not path_tests or any(test(file.file_id) or test(file.name) for test in path_tests))
            and (type_test is None or type_test((file.mime_type or "").lower()))
            and (name_test is None or name_test(file.name.lower()))
        )

    return passes


def _compiled(pattern: str) -> Callable[[str], bool]:
    """Return a test for whole strings, in linear time for each ``*``: the first place of each piece is the best."""
    first, *rest = (_piece(piece) for piece in pattern.split("*"))
    if not rest:
        whole = re.compile(first + r"\Z", re.DOTALL)
        return lambda text: whole.match(text) is not None
    start = re.compile(first, re.DOTALL)
    middle = [re.compile(piece, re.DOTALL) for piece in rest[:-1]]
    end = re.compile(rest[-1] + r"\Z", re.DOTALL)
    end_length = len(pattern.rpartition("*")[2])

    def passes(text: str) -> bool:
        if (match := start.match(text)) is None:
            return False
        at = match.end()
        for piece in middle:
            if (match := piece.search(text, at)) is None:
                return False
            at = match.end()
        last = len(text) - end_length
        return last >= at and end.match(text, last) is not None

    return passes


def _piece(piece: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in piece)
