"""Read the verdict on a completed file: its warnings, and figures about the quality of its text."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, SupportsFloat, SupportsIndex

from rag_pipeline.contract import wire
from rag_pipeline.status import checks
from rag_pipeline.status.model import FileWarning
from rag_pipeline.status.values import FOREIGN_ERRORS

MAX_WARNINGS = 20
MAX_TYPE_LENGTH = 64
MAX_MESSAGE_LENGTH = 300
MAX_FIGURES = 20
UNNAMED_TYPE = "warning"
"""The type of a warning that has none."""
_MAX_INT_BITS = 1023
_MAX_COUNT = (1 << 53) - 1  # the largest integer that every JSON reader keeps
_MAX_GIVEN = 10_000
_FIELDS = ("type", "message", "count")

Report = Callable[[object, Exception], None]
"""Called with a value that can't be shown as it is, and why; raises the error in strict mode."""


def merge_warnings(first: tuple[FileWarning, ...], more: tuple[FileWarning, ...]) -> tuple[FileWarning, ...]:
    """Return all warnings in order; the counts of equal ones are added up."""
    if not first and len(more) < 2:
        return more
    counts: dict[tuple[str, str], int] = {}
    for kind, message, count in (*first, *more):
        key = (kind, message)
        counts[key] = min(counts.get(key, 0) + count, _MAX_COUNT)
    return tuple([FileWarning(kind, message, count) for (kind, message), count in counts.items()])


def read_warnings(values: object, report: Report) -> tuple[FileWarning, ...]:
    """Return at most 20 warnings; equal ones are added up. A part that can't be shown is reported, then mended."""
    if type(values) is not list and isinstance(values, (str, Mapping, BaseException)):
        report(values, TypeError(f"warnings must be a list, not {type(values).__name__}"))
        values = [values]
    if not isinstance(values, Iterable):
        report(values, TypeError(f"warnings must be a list, not {type(values).__name__}"))
        return ()
    try:
        given = list(islice(values, _MAX_GIVEN))
    except FOREIGN_ERRORS:
        report(values, ValueError("warnings can't be read"))
        return ()
    found = tuple([warning for value in given if (warning := read_warning(value, report)) is not None])
    merged = merge_warnings((), found)
    if len(merged) > MAX_WARNINGS:
        report(values, too_many())
    return merged[:MAX_WARNINGS]


def too_many() -> ValueError:
    """Return the error for a file's 21st warning."""
    return ValueError(f"a file has at most {MAX_WARNINGS} different warnings; the further ones are left out")


def read_warning(value: object, report: Report) -> FileWarning | None:
    """Return the warning from a mapping, a text or an exception; None if nothing of it can be shown."""
    if isinstance(value, FileWarning):
        return value
    if type(value) is dict or isinstance(value, Mapping):
        return _from_mapping(value, report)
    if isinstance(value, BaseException):
        return make_warning(type(value).__name__, _message_of(value), 1, report)
    if isinstance(value, str):
        return make_warning(UNNAMED_TYPE, value, 1, report)
    report(value, TypeError(f"a warning must be a mapping, a str or an exception, not {type(value).__name__}"))
    return None


def make_warning(kind: object, message: object, count: object, report: Report) -> FileWarning | None:
    """Return the warning, with texts and count clamped; None without a message."""
    text = _text("a warning's message", message, MAX_MESSAGE_LENGTH, report)
    if not text:
        return None
    word = _text("a warning's type", kind, MAX_TYPE_LENGTH, report) or UNNAMED_TYPE
    return FileWarning(word, text, _count(count, report))


def read_quality(value: object, report: Report) -> wire.Quality | None:
    """Return at most 20 figures by name; None if there are none. What is no finite number is reported and left out."""
    if type(value) is not dict and not isinstance(value, Mapping):
        report(value, TypeError(f"quality must be a mapping of numbers, not {type(value).__name__}"))
        return None
    figures: wire.Quality = {}
    try:
        given = list(islice(value.items(), MAX_FIGURES + 1))
    except FOREIGN_ERRORS:
        report(value, ValueError("quality can't be read"))
        return None
    if len(given) > MAX_FIGURES:
        report(value, ValueError(f"quality has at most {MAX_FIGURES} figures; the further ones are left out"))
    for key, number in given[:MAX_FIGURES]:
        try:
            figures[_figure_name(key)] = _figure(key, number)
        except FOREIGN_ERRORS as error:
            report(number, error)
    return figures or None


def _from_mapping(value: Mapping[Any, Any], report: Report) -> FileWarning | None:
    try:
        unknown = [key for key in islice(value, 100) if key not in _FIELDS]
        kind, message, count = value.get("type", UNNAMED_TYPE), value.get("message"), value.get("count", 1)
    except FOREIGN_ERRORS:
        report(value, ValueError("a warning can't be read"))
        return None
    if unknown:
        report(value, ValueError(f"a warning has no {unknown[0]!r}; it has " + ", ".join(_FIELDS)))
    return make_warning(kind, message, count, report)


def _text(key: str, value: object, limit: int, report: Report) -> str:
    """Return the text cut to the limit; "" if there is none."""
    if type(value) is str and value.isascii() and 0 < len(value) <= limit and value == value.strip():
        return value  # nearly all of them
    try:
        text = checks.plain_text(value)
    except FOREIGN_ERRORS:
        text = None
    if text is None:
        report(value, TypeError(f"{key} must be a str, not {type(value).__name__}"))
        return ""
    stripped = text.strip()
    if not 0 < len(stripped) <= limit:
        report(value, ValueError(f"{key} must have 1 to {limit} characters, not {len(stripped)}"))
    return checks.bounded(stripped[: limit + 1], limit)


def _count(value: object, report: Report) -> int:
    if type(value) is int and 0 < value <= _MAX_COUNT:
        return value
    try:
        count = checks.check_count("a warning's count", value)
        if count is None or not 0 < count <= _MAX_COUNT:
            raise ValueError(f"a warning's count must be from 1 to 2**53 - 1, not {count}")
    except FOREIGN_ERRORS as error:
        report(value, error)
        return _MAX_COUNT if isinstance(value, int) and value > _MAX_COUNT else 1
    return count


def _figure_name(key: object) -> str:
    if type(key) is str and key.isascii() and 0 < len(key) <= MAX_TYPE_LENGTH:
        return key  # nearly all of them
    if not isinstance(key, str):
        raise TypeError(f"a figure's name must be a str, not {type(key).__name__}")
    name = checks.readable(str.__str__(key))
    if not 0 < len(name) <= MAX_TYPE_LENGTH:
        raise ValueError(f"a figure's name must have 1 to {MAX_TYPE_LENGTH} characters, not {len(name)}")
    return name


def _figure(key: object, value: object) -> float | None:
    if value is None or (type(value) is float and math.isfinite(value)):
        return value
    if type(value) is int:
        if value.bit_length() > _MAX_INT_BITS:
            raise ValueError(f"quality's {key} has more than {_MAX_INT_BITS} bits")
        return value
    if isinstance(value, (bool, str)) or not isinstance(value, (SupportsFloat, SupportsIndex)):
        raise TypeError(f"quality's {key} must be a number or None, not {type(value).__name__}")
    if isinstance(value, SupportsIndex):  # a numpy scalar
        return _figure(key, operator.index(value))
    number = float(value)  # another numpy scalar, a Decimal
    if not math.isfinite(number):
        raise ValueError(f"quality's {key} must be a finite number, not {number}")
    return number


def _message_of(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except FOREIGN_ERRORS:
        text = ""
    return text or type(error).__name__
