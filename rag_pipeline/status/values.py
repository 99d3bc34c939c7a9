"""Copy callers' results and own fields to plain JSON values."""

from __future__ import annotations

import math
import operator
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple, NoReturn, SupportsIndex, TypeVar
from uuid import UUID

from rag_pipeline.status.checks import MAX_LABEL_LENGTH, readable

MAX_JSON_CHARACTERS = 1 << 18
MAX_OWN_FIELDS = 256
MAX_SHOWN_RESULT_CHARACTERS = 2_000
"""Characters of a file's ``result`` that the lists of the state show."""
_MAX_DEPTH = 64
_MAX_INT_BITS = 1024

# Errors that foreign objects may raise while they are read. Not Exception: that would also swallow an exception that a
# signal handler or a task's time limit raises into the thread at this moment.
FOREIGN_ERRORS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError, AssertionError)

T = TypeVar("T")

OnLeftOut = Callable[[Exception], None]
"""Called with the TypeError or ValueError of each part that is left out."""


class JsonCopy(NamedTuple):
    """A JSON value and its approximate size in characters."""

    value: Any
    size: int


def copy_json(
    key: str, value: object, left_out: OnLeftOut | None = None, *, budget: int = MAX_JSON_CHARACTERS
) -> JsonCopy:
    """Return a copy of the value made of None, bool, int, float, str, list and dict.

    Times, sets, enums, UUIDs, paths, dataclasses, decimals, numpy scalars and arrays are converted. Raises TypeError
    for any other type, and ValueError for NaN, infinity, lone surrogates, more than ``budget`` characters or 64
    levels. With ``left_out`` it reports these errors instead: a mapping lacks the bad part, a list has None for it.
    """
    if value is None:
        return JsonCopy(None, 0)
    copier = _Copier(key, budget, left_out)
    try:
        copied = copier.copy(value, 0)
    except _PartError as part:
        if left_out is None:
            raise part.error from None
        left_out(part.error)
        return JsonCopy(None, 0)
    except FOREIGN_ERRORS as error:  # from a broken object of the caller
        problem = ValueError(f"{key} can't be read")
        if left_out is None:
            raise problem from error
        left_out(problem)
        return JsonCopy(None, 0)
    return JsonCopy(copied, budget - copier.budget)


def shown_result(result: Any) -> Any:
    """Return the parts of a large result that fit in 2,000 characters, for the lists of the state."""
    if isinstance(result, str):
        return result[: MAX_SHOWN_RESULT_CHARACTERS - 1] + "…"
    return copy_json("result", result, lambda _: None, budget=MAX_SHOWN_RESULT_CHARACTERS).value


def check_own(own: Mapping[str, object]) -> None:
    """Raise ValueError for too many or too large own fields: every status carries them all."""
    if len(own) > MAX_OWN_FIELDS:
        raise ValueError(f"at most {MAX_OWN_FIELDS} fields of your own, not {len(own)}")
    copy_json("the fields of your own, all together,", own)


def fitting_own(base: Mapping[str, Any], first: Mapping[str, Any], report: OnLeftOut | None = None) -> dict[str, Any]:
    """Merge two mappings up to the limits; ``first`` goes before ``base``, each in its order."""
    merged = {**base, **first}
    try:
        check_own(merged)
    except ValueError as error:
        if report is not None:
            report(error)
        fitting: dict[str, Any] = {}
        room = MAX_JSON_CHARACTERS - 8
        for key, value in (*first.items(), *((k, v) for k, v in base.items() if k not in first)):
            size = len(key) + copy_json(key, value, lambda _: None).size
            if len(fitting) < MAX_OWN_FIELDS and size <= room:
                fitting[key] = value
                room -= size
        return fitting
    return merged


def check_own_key(key: str) -> str:
    """Return the name of an own field: valid Unicode of 1 to 200 characters."""
    if not 0 < len(key) <= MAX_LABEL_LENGTH:
        raise ValueError(f"a field's name must have 1 to {MAX_LABEL_LENGTH} characters, not {len(key)}")
    return str(copy_json("a field's name", key).value)


class _PartError(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Copier:
    def __init__(self, key: str, budget: int, left_out: OnLeftOut | None) -> None:
        self.budget = budget
        self._bound = budget
        self._key = key
        self._left_out = left_out

    def copy(self, value: object, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            self._refuse(ValueError, f"is nested deeper than {_MAX_DEPTH} levels, or contains itself")
        if isinstance(value, str):
            return self._text(value.value if isinstance(value, Enum) else value)
        self._spend(8)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.copy(value.value, depth + 1)
        if isinstance(value, int):
            return self._whole(value)
        if isinstance(value, float):
            return self._real(value)
        if isinstance(value, Mapping):
            return self._mapping(self._read(value, value.items), depth)
        if isinstance(value, (list, tuple, deque)):
            return self._list(self._read(value, lambda: value), depth)
        return self._converted(value, depth)

    def _read(self, value: object, parts: Callable[[], Iterable[T]]) -> list[T]:
        """Return the parts of a container, at most one more than fits; the class may be the caller's, and endless."""
        try:
            return list(islice(parts(), MAX_JSON_CHARACTERS // 8 + 1))
        except FOREIGN_ERRORS as error:
            raise self._problem(ValueError, f"holds a {type(value).__name__} that can't be read ({error!r})") from None

    def _converted(self, value: object, depth: int) -> Any:
        try:
            simple = _convert(value)
        except FOREIGN_ERRORS as error:
            self._refuse(ValueError, f"holds a {type(value).__name__} that can't be read ({type(error).__name__})")
        if simple is value:
            self._refuse(TypeError, f"holds a {type(value).__name__}, which JSON can't express")
        return self.copy(simple, depth + 1)

    def _mapping(self, items: Iterable[tuple[object, object]], depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, value in items:
            before = self.budget
            try:
                copied[self._dict_key(key)] = self.copy(value, depth + 1)
            except _PartError as part:
                if not self._has_room_after(part, before):
                    break
        return copied

    def _list(self, values: Iterable[object], depth: int) -> list[Any]:
        copied: list[Any] = []
        for value in values:
            before = self.budget
            try:
                copied.append(self.copy(value, depth + 1))
            except _PartError as part:
                if not self._has_room_after(part, before):
                    break
                copied.append(None)
        return copied

    def _has_room_after(self, part: _PartError, budget: int) -> bool:
        """Report a part that is left out; return whether there is room for another one."""
        if self._left_out is None:
            raise part
        self._left_out(part.error)
        self.budget = budget - 8
        return self.budget > 0

    def _dict_key(self, key: object) -> str:
        if isinstance(key, str):
            return self._text(key)
        if isinstance(key, (int, float, UUID, os.PathLike, date, Enum)) or key is None:
            simple = self.copy(key, _MAX_DEPTH - 1)
            return simple if isinstance(simple, str) else str(simple)
        raise self._problem(TypeError, f"holds a dict with a key that is a {type(key).__name__}, not a str")

    def _whole(self, value: int) -> int:
        if value.bit_length() > _MAX_INT_BITS:
            self._refuse(ValueError, f"holds an integer of more than {_MAX_INT_BITS} bits")
        return int(value)

    def _real(self, value: float) -> float:
        if not math.isfinite(value):
            self._refuse(ValueError, f"holds {float(value)}, which JSON can't express")
        return float(value)

    def _text(self, value: str) -> str:
        self._spend(len(value))
        text = str.__str__(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            if self._left_out is None:
                self._refuse(ValueError, "holds a string that is not valid Unicode")
            return readable(text)
        return text

    def _spend(self, characters: int) -> None:
        self.budget -= characters
        if self.budget < 0:
            self._refuse(ValueError, f"is larger than {self._bound} characters of JSON")

    def _refuse(self, kind: type[Exception], problem: str) -> NoReturn:
        raise self._problem(kind, problem)

    def _problem(self, kind: type[Exception], problem: str) -> _PartError:
        return _PartError(kind(f"{self._key} {problem}"))


def _convert(value: object) -> object:
    """Return an equivalent simpler value, the value itself if there is none."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal, Fraction)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Set):
        return _sorted(value)
    if isinstance(value, range):
        return list(value[:MAX_JSON_CHARACTERS])
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(value, "model_dump") and not isinstance(value, type):  # pydantic
        return value.model_dump()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy and compatible libraries
        return value.tolist() if getattr(value, "size", 0) <= MAX_JSON_CHARACTERS else value
    if isinstance(value, SupportsIndex):
        return operator.index(value)
    return value


def _sorted(values: Set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)
