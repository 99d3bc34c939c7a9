"""Checks of what callers hand in: each returns the value as it is kept, or raises TypeError or ValueError."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MAX_NAME_LENGTH = 4096
MAX_LABEL_LENGTH = 200
MAX_MESSAGE_LENGTH = 1000
MAX_JSON_CHARACTERS = 1 << 18
MAX_OWN_FIELDS = 256
_MAX_DEPTH = 64
_MAX_INT_BITS = 1024
_MAX_NUMBER = sys.float_info.max


def readable(text: str) -> str:
    """Return the text with what is not UTF-8 written as ``\\xNN``, as names from a file system may have it."""
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


def check_name(key: str, value: object) -> str:
    """Return a file's name: a string of 1 to 4,096 characters; bytes that are not UTF-8 are made readable."""
    if type(value) is str and value.isascii() and 0 < len(value) <= MAX_NAME_LENGTH:
        return value  # nearly all of them
    if type(value) is not str:
        if not isinstance(value, str):
            raise TypeError(f"{key} must be a str, not {type(value).__name__}")
        value = str.__str__(value)
    if not 0 < len(value) <= MAX_NAME_LENGTH:
        raise ValueError(f"{key} must have 1 to {MAX_NAME_LENGTH} characters, not {len(value)}")
    return readable(value)


def check_optional_name(key: str, value: object) -> str | None:
    """Return None or what :func:`check_name` returns."""
    return None if value is None else check_name(key, value)


def check_label(key: str, value: object) -> str:
    """Return a short word for people to read, such as a status or a stage: 1 to 200 characters."""
    if type(value) is str and value.isascii() and 0 < len(value) <= MAX_LABEL_LENGTH:
        return value
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a str, not {type(value).__name__}")
    if not 0 < len(value) <= MAX_LABEL_LENGTH:
        raise ValueError(f"{key} must have 1 to {MAX_LABEL_LENGTH} characters, not {len(value)}")
    return readable(str.__str__(value))


def check_type(key: str, value: object) -> str:
    """Return a pipeline's type: a label without anything that can't be printed, since ids are made of it."""
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
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{key} must be a number or None, not {type(value).__name__}")
    # Compared first: isfinite() can't take an integer that is larger than any float.
    if not 0 <= value <= _MAX_NUMBER:
        raise ValueError(f"{key} must be a finite number that is not negative, not {value!r}")
    return value


def check_count(key: str, value: object) -> int | None:
    """Return None or a whole number that is not negative."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{key} must be an int or None, not {type(value).__name__}")
    if not 0 <= value < 1 << 63:
        raise ValueError(f"{key} must be from 0 to 2**63 - 1, not {value!r}")
    return value


def check_bool(key: str, value: object) -> bool:
    """Return a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{key} must be a bool, not {type(value).__name__}")
    return value


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
    try:
        number = value.timestamp() if isinstance(value, datetime) else check_number(key, value) or 0.0
        datetime.fromtimestamp(number, UTC)  # an offset can put a time outside the years 1 to 9999
    except (OverflowError, OSError):
        raise ValueError(f"{key} is out of range: {value!r}") from None
    except ValueError as error:
        raise ValueError(f"{key} is out of range: {error}") from None
    return number


def bounded(text: str, limit: int = MAX_MESSAGE_LENGTH) -> str:
    """Return the text on at most ``limit`` characters, with what was cut marked by an ellipsis."""
    text = readable(text.strip())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def check_message(key: str, value: object) -> str:
    """Return a text for people to read that says something, bounded to 1,000 characters."""
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a str, not {type(value).__name__}")
    text = bounded(str.__str__(value))
    if not text:
        raise ValueError(f"{key} must not be empty")
    return text


def json_copy(key: str, value: object) -> Any:
    """Return a copy of the value made of None, bool, int, float, str, list and dict, so that it is valid JSON.

    Raises TypeError for any other type and ValueError for NaN, infinity, lone surrogates, and more than 256 Ki
    characters or 64 levels.
    """
    if value is None:
        return None
    return _Copier(key).copy(value, 0)


def check_own(own: Mapping[str, object]) -> None:
    """Raise ValueError if a pipeline's own fields are too many or too large: every status carries them all."""
    if len(own) > MAX_OWN_FIELDS:
        raise ValueError(f"at most {MAX_OWN_FIELDS} fields of your own, not {len(own)}")
    _Copier("the fields of your own, all together,").copy(own, 0)


def check_own_key(key: str) -> str:
    """Return the name of a field of the caller's own: valid Unicode of 1 to 200 characters."""
    if not 0 < len(key) <= MAX_LABEL_LENGTH:
        raise ValueError(f"a field's name must have 1 to {MAX_LABEL_LENGTH} characters, not {len(key)}")
    return str(json_copy("a field's name", key))


class _Copier:
    def __init__(self, key: str) -> None:
        self._key = key
        self._budget = MAX_JSON_CHARACTERS

    def copy(self, value: object, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(f"{self._key} is nested deeper than {_MAX_DEPTH} levels, or contains itself")
        if isinstance(value, str):
            return self._text(value)
        self._spend(8)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if value.bit_length() > _MAX_INT_BITS:
                raise ValueError(f"{self._key} holds an integer of more than {_MAX_INT_BITS} bits")
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"{self._key} holds {float(value)}, which JSON can't express")
            return float(value)
        if isinstance(value, (list, tuple)):
            return [self.copy(item, depth + 1) for item in value]
        if isinstance(value, Mapping):
            return {self._dict_key(k): self.copy(v, depth + 1) for k, v in value.items()}
        raise TypeError(f"{self._key} holds a {type(value).__name__}, which JSON can't express")

    def _dict_key(self, key: object) -> str:
        if not isinstance(key, str):
            raise TypeError(f"{self._key} holds a dict with a key that is a {type(key).__name__}, not a str")
        return self._text(key)

    def _text(self, value: str) -> str:
        self._spend(len(value))
        text = str.__str__(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{self._key} holds a string that is not valid Unicode") from None
        return text

    def _spend(self, characters: int) -> None:
        self._budget -= characters
        if self._budget < 0:
            raise ValueError(f"{self._key} is larger than {MAX_JSON_CHARACTERS} characters of JSON")
