"""Make the failure that a file shows, from an exception, a text or a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipeline.status import checks
from rag_pipeline.status.model import FileFailure

_NO_REASON = "no reason was given"


def failure(error: BaseException | Mapping[str, Any] | str | None) -> FileFailure:
    """Return the failure, with a bounded message; raises TypeError or ValueError for a value that can't be shown."""
    if isinstance(error, BaseException):
        return FileFailure(_type_of(error), _message(error), None, _retryable(error))
    if error is None:
        return FileFailure("Error", _NO_REASON, None, retryable=False)
    if isinstance(error, str):
        return FileFailure("Error", checks.bounded(error) or _NO_REASON, None, retryable=False)
    if not isinstance(error, Mapping):
        raise TypeError(f"error must be an exception, a mapping or a str, not {type(error).__name__}")
    if unknown := [key for key in error if key not in FileFailure._fields]:
        raise ValueError(f"error has no {unknown[0]!r}; it has " + ", ".join(FileFailure._fields))
    stage = error.get("stage")
    return FileFailure(
        checks.check_label("error type", error.get("type") or "Error"),
        checks.bounded(str(error.get("message") or "")) or _NO_REASON,
        None if stage is None else checks.check_label("error stage", stage),
        retryable=bool(error.get("retryable", False)),
    )


# An exception can be of any class. Reporting it must not replace it by another, so nothing below raises.


def _type_of(error: BaseException) -> str:
    return checks.bounded(type(error).__name__, checks.MAX_LABEL_LENGTH)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its __str__ is broken
        text = ""
    return checks.bounded(text) or _type_of(error)


def _retryable(error: BaseException) -> bool:
    try:
        return bool(getattr(error, "retryable", False))
    except Exception:  # noqa: BLE001 - a property of it is broken
        return False
