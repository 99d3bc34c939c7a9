"""Check arguments of status calls. Each function returns the checked value, or raises TypeError or ValueError."""

from __future__ import annotations

import operator
import os
import sys
import time
from datetime import UTC, date, datetime
from enum import Enum
from typing import SupportsFloat, SupportsIndex
from uuid import UUID

MAX_NAME_LENGTH = 4096
MAX_LABEL_LENGTH = 200
MAX_MESSAGE_LENGTH = 1000
_MAX_NUMBER = sys.float_info.max


def readable(text: str) -> str:
    """Return the text with bytes that are not UTF-8, as in file names, written as ``\\xNN``."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogateescape" if _escaped_bytes(text) else "surrogatepass")
        return raw.decode("utf-8", "backslashreplace")
    return text


def _escaped_bytes(text: str) -> bool:
    return all(not 0xD800 <= ord(c) <= 0xDFFF or 0xDC80 <= ord(c) <= 0xDCFF for c in text)


def plain_text(value: object) -> str | None:
    """Return a str, path, whole number, UUID or text enum as plain str; None for any other type."""
    if isinstance(value, Enum) and isinstance(value.value, str):
        value = value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return str(operator.index(value))
    return None


def check_name(key: str, value: object) -> str:
    """Return a file's name or id as 1 to 4,096 characters; bytes that are not UTF-8 become readable."""
    if type(value) is str and value.isascii() and 0 < len(value) <= MAX_NAME_LENGTH:
        return value  # nearly all of them
    text = plain_text(value)
    if text is None:
        raise TypeError(f"{key} must be a str, a path, an int or a UUID, not {type(value).__name__}")
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        raise ValueError(f"{key} must have 1 to {MAX_NAME_LENGTH} characters, not {len(text)}")
    return readable(text)


def check_optional_name(key: str, value: object) -> str | None:
    """Return None or what :func:`check_name` returns."""
    return None if value is None else check_name(key, value)


def check_label(key: str, value: object) -> str:
    """Return a short text for people, such as a status or a stage: 1 to 200 characters."""
    if type(value) is str and value.isascii() and 0 < len(value) <= MAX_LABEL_LENGTH:
        return value
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a str, not {type(value).__name__}")
    if not 0 < len(value) <= MAX_LABEL_LENGTH:
        raise ValueError(f"{key} must have 1 to {MAX_LABEL_LENGTH} characters, not {len(value)}")
    return readable(str.__str__(value))


def check_type(key: str, value: object) -> str:
    """Return a pipeline's type: a printable label, because ids are made of it."""
    text = check_label(key, value)
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{key} must be printable characters with no space around them, not {text!r}")
    return text


def check_fraction(key: str, value: object) -> float | None:
    """Return None or a number from 0 to 1."""
    if value is None:
        return None
    number = check_number(key, value)
    if number is not None and not number <= 1:
        raise ValueError(f"{key} must be a fraction from 0 to 1, not {value!r}")
    return number


def check_number(key: str, value: object) -> float | None:
    """Return None or a finite number that is not negative."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise TypeError(f"{key} must be a number or None, not bool")
    if not isinstance(value, (int, float)):
        if isinstance(value, str) or not isinstance(value, SupportsFloat):
            raise TypeError(f"{key} must be a number or None, not {type(value).__name__}")
        value = float(value)  # a numpy scalar, a Decimal
    # No isfinite(): it can't take an integer that is larger than any float.
    if not 0 <= value <= _MAX_NUMBER:
        raise ValueError(f"{key} must be a finite number that is not negative, not {value!r}")
    return value


def check_count(key: str, value: object) -> int | None:
    """Return None or a whole number that is not negative."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{key} must be an int or None, not {type(value).__name__}")
    value = operator.index(value)
    if not 0 <= value < 1 << 63:
        raise ValueError(f"{key} must be from 0 to 2**63 - 1, not {value!r}")
    return value


def check_bool(key: str, value: object) -> bool:
    """Return a bool."""
    if isinstance(value, bool):
        return value
    if type(value).__name__ in ("bool_", "bool"):  # numpy's is not a subclass
        return bool(value)
    raise TypeError(f"{key} must be a bool, not {type(value).__name__}")


def check_time(key: str, value: object) -> float | None:
    """Return wall-clock seconds from a datetime, an ISO 8601 string or seconds since 1970; naive times are local."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{key} must be a time in ISO 8601, not {text[:100]!r}") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - local, like every naive time
    try:
        number = value.timestamp() if isinstance(value, datetime) else check_number(key, value) or 0.0
        datetime.fromtimestamp(number, UTC)  # an offset can put a time outside the years 1 to 9999
    except (OverflowError, OSError):
        raise ValueError(f"{key} is out of range: {value!r}") from None
    except ValueError as error:
        raise ValueError(f"{key} is out of range: {error}") from None
    return number


def check_wait(key: str, value: object) -> float | None:
    """Return the wall-clock time in so many seconds from now; None for None."""
    seconds = check_number(key, value)
    return None if seconds is None else check_time(key, time.time() + seconds)


def bounded(text: str, limit: int = MAX_MESSAGE_LENGTH) -> str:
    """Return the text cut to ``limit`` characters, with an ellipsis at the end if it was cut."""
    text = readable(text.strip())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def check_message(key: str, value: object) -> str:
    """Return a non-empty text for people, cut to 1,000 characters."""
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a str, not {type(value).__name__}")
    text = bounded(str.__str__(value))
    if not text:
        raise ValueError(f"{key} must not be empty")
    return text
