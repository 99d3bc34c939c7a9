"""Handle arguments that can't be shown: leave them out and log one line for each kind, or raise if strict."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rag_pipeline.common import logs
from rag_pipeline.common.env import read_flag
from rag_pipeline.contract import wire
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.status import checks
from rag_pipeline.status.failures import failure
from rag_pipeline.status.model import FileFailure, FileWarning
from rag_pipeline.status.values import FOREIGN_ERRORS, JsonCopy, copy_json
from rag_pipeline.status.verdict import make_warning, read_quality, read_warnings

logger = logging.getLogger("rag_pipeline.status")

T = TypeVar("T")

UNNAMED = "(unnamed)"
_MAX_KINDS = 100
_NEGATIVE = frozenset({"", "0", "error", "fail", "failed", "failure", "false", "ko", "no"})
_NO_RESULT = JsonCopy(None, 0)


def strict() -> bool:
    """Return whether ``STATUS_STRICT`` is on; read only when an argument is bad.

    A bad value is off here, and is rejected when the service starts: a status call must not fail because of it.
    """
    try:
        return read_flag(os.environ, "STATUS_STRICT")
    except ConfigurationError:
        return False


class Arguments:
    """Checks the arguments of one pipeline's calls; safe to use from any thread.

    Each method returns a value that can be shown. It raises TypeError or ValueError only if ``STATUS_STRICT`` is on.
    """

    def __init__(self, pipeline_id: Callable[[], str]) -> None:
        self._pipeline_id = pipeline_id
        self._logged: set[tuple[str, str]] = set()

    def name(self, key: str, value: object) -> str:
        """Return a file's name; one that can't be shown is replaced by readable text."""
        if type(value) is str and value.isascii() and 0 < len(value) <= checks.MAX_NAME_LENGTH:
            return value  # nearly all of them
        try:
            return checks.check_name(key, value)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "is replaced")
            return _replacement(value)

    def optional_name(self, key: str, value: object) -> str | None:
        """Return a name or an id, None if there is none."""
        if value is None:
            return None
        if type(value) is str and value.isascii() and 0 < len(value) <= checks.MAX_NAME_LENGTH:
            return value
        try:
            return checks.check_name(key, value)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "is replaced")
            text = _replacement(value)
            return None if text == UNNAMED else text

    def optional_text(self, key: str, value: object) -> str | None:
        """Return a text such as a link, None if it can't be shown."""
        return self._checked(checks.check_optional_name, key, value, None)

    def count(self, key: str, value: object) -> int | None:
        """Return a whole number, None if it isn't one."""
        return self._checked(checks.check_count, key, value, None)

    def flag(self, key: str, value: object) -> bool:
        """Return a bool."""
        if value is True or value is False:
            return value
        try:
            return checks.check_bool(key, value)
        except TypeError as error:
            self._leave_out(key, value, error, "is taken as a bool")
            return value.strip().lower() not in _NEGATIVE if isinstance(value, str) else _is_true(value)

    def label(self, key: str, value: object, default: str) -> str:
        """Return a short text, cut if it is long."""
        if type(value) is str and value.isascii() and 0 < len(value) <= checks.MAX_LABEL_LENGTH:
            return value
        try:
            return checks.check_label(key, value)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "is replaced")
            return checks.bounded(_replacement(value), checks.MAX_LABEL_LENGTH) if _is_true(value) else default

    def fraction(self, key: str, value: object) -> float | None:
        """Return a fraction, clamped to 0 to 1; None if it is not a number."""
        if type(value) is float and 0.0 <= value <= 1.0:
            return value
        try:
            return checks.check_fraction(key, value)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "does not fit")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
                return None
            return 1.0 if value > 1 else 0.0

    def message(self, key: str, value: object) -> str:
        """Return a text for people."""
        try:
            return checks.check_message(key, value)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "is replaced")
            return checks.bounded(_replacement(value)) if _is_true(value) else "no reason was given"

    def result(self, value: object) -> JsonCopy:
        """Return a JSON copy of a result; parts that can't be shown are left out."""
        if value is None:
            return _NO_RESULT
        return copy_json("result", value, None if strict() else self._part_left_out("result", value))

    def failure(self, error: object) -> FileFailure:
        """Return the failure of a file."""
        if isinstance(error, (BaseException, str, Mapping)) or error is None:
            try:
                return failure(error)
            except FOREIGN_ERRORS as problem:
                self._leave_out("error", error, problem, "is reduced to the parts that can be shown")
                if isinstance(error, Mapping):
                    return _readable_failure(error)
        else:
            unknown = TypeError(f"error must be an exception, a mapping or a str, not {_type_of(error)}")
            self._leave_out("error", error, unknown, "is shown as text")
        return failure(_replacement(error))

    def warnings(self, values: object) -> tuple[FileWarning, ...]:
        """Return the warnings of a file, clamped to the limits."""
        return read_warnings(values, lambda value, error: self._leave_out("warnings", value, error, "do not fit"))

    def warning(self, kind: object, message: object, count: object) -> FileWarning | None:
        """Return one warning of a file, clamped to the limits; None without a message."""
        return make_warning(
            kind, message, count, lambda value, error: self._leave_out("warning", value, error, "does not fit")
        )

    def quality(self, value: object) -> wire.Quality | None:
        """Return the figures about a file's text, without those that can't be shown."""
        return read_quality(value, lambda part, error: self._leave_out("quality", part, error, "is left out in part"))

    def field(self, check: Callable[[str, object], T], key: str, value: object) -> tuple[T, ...]:
        """Return a tuple with the field's checked value, an empty one if the field is left out."""
        try:
            return (check(key, value),)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "is left out")
            return ()

    def own(self, key: str, value: object) -> Any:
        """Return a JSON copy of an own field's value; parts that can't be shown are left out."""
        return copy_json(key, value, None if strict() else self._part_left_out(key, value)).value

    def question(self, key: str, field: str) -> None:
        """Raise, or log once, that an own field's name is nearly that of a field of the state."""
        hint = ValueError(f"did you mean {field}? If {key} is a field of your own, pass own={{{key!r}: ...}}")
        self._leave_out(key, None, hint, "is kept as a field of your own")

    def refuse(self, key: str, error: Exception) -> None:
        """Raise the error, or log that the argument is left out."""
        self._leave_out(key, None, error, "is left out")

    def _checked(self, check: Callable[[str, object], T], key: str, value: object, default: T) -> T:
        try:
            return check(key, value)
        except FOREIGN_ERRORS as error:
            self._leave_out(key, value, error, "is left out")
            return default

    def _part_left_out(self, key: str, value: object) -> Callable[[Exception], None]:
        return lambda error: self._leave_out(key, value, error, "is left out in part", raises=False)

    def _leave_out(self, key: str, value: object, error: Exception, outcome: str, *, raises: bool = True) -> None:
        if raises and strict():
            if isinstance(error, (TypeError, ValueError)):
                raise error
            raise ValueError(f"{key} can't be read") from error  # a broken object of the caller
        kind = (key, _type_of(value))
        if kind in self._logged or len(self._logged) >= _MAX_KINDS:
            return
        self._logged.add(kind)
        pipeline_id = self._pipeline_id()
        logger.warning(
            "pipeline %s: %s %s: %s (STATUS_STRICT=1 raises instead)",
            pipeline_id,
            key,
            outcome,
            _text_of(error),
            extra=logs.about(pipeline_id),
        )


def _text_of(error: Exception) -> str:
    try:
        return " ".join(str(error).split())
    except FOREIGN_ERRORS:
        return _type_of(error)


def _type_of(value: object) -> str:
    try:
        return type(value).__name__
    except FOREIGN_ERRORS:  # from a metaclass of the caller
        return "object"


def _is_true(value: object) -> bool:
    """Return the truth of the value; True if it has none, such as an array."""
    try:
        return bool(value)
    except FOREIGN_ERRORS:
        return True


def _replacement(value: object) -> str:
    """Return a name for any object; a long one ends with a digest, so that different objects differ."""
    try:
        text = checks.plain_text(value)
        if text is None:
            text = os.fsdecode(value) if isinstance(value, bytes) else str(value)
    except FOREIGN_ERRORS:
        text = f"<{_type_of(value)}>"
    text = checks.readable(text)
    if len(text) > checks.MAX_NAME_LENGTH:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        text = f"{text[: checks.MAX_NAME_LENGTH - 18]}… {digest}"
    return text or UNNAMED


def _readable_failure(error: Mapping[Any, Any]) -> FileFailure:
    stage = error.get("stage")
    return FileFailure(
        checks.bounded(_replacement(error.get("type", "Error")), checks.MAX_LABEL_LENGTH),
        checks.bounded(_replacement(error.get("message", "no reason was given"))),
        None if stage is None else checks.bounded(_replacement(stage), checks.MAX_LABEL_LENGTH),
        retryable=_is_true(error.get("retryable", False)),
    )
