"""Encodes JSON that every client can parse: no NaN, and valid UTF-8."""

from __future__ import annotations

import json
import math
import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_json(value: object) -> bytes:
    """Return the value as compact JSON in UTF-8.

    Lone surrogates (from file names that are not UTF-8) become U+FFFD; NaN and infinities become null. Raises
    ``TypeError`` for values that JSON can't represent.
    """
    try:
        text = _dump(value)
    except ValueError:
        text = _dump(_without_nan(value))
    return encode_text(text)


def encode_text(text: str) -> bytes:
    """Return the text in UTF-8; lone surrogates become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value
