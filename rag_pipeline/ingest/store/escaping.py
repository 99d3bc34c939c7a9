r"""Reversible escapes for names that are not valid UTF-8.

Python represents a byte of a file name that is not UTF-8 as a lone surrogate, which no store can hold. It is stored as
the noncharacter U+FDD0 and four hexadecimal digits. A U+FDD0 in the name itself is doubled.
"""

from __future__ import annotations

import re

ESCAPE = "\ufdd0"
_TO_ESCAPE = re.compile(r"[\ud800-\udfff\ufdd0]")
_ESCAPED = re.compile(rf"{ESCAPE}(?:{ESCAPE}|([0-9a-f]{{4}}))")


def escape(name: str) -> str:
    """Return the name as valid Unicode text."""
    return _TO_ESCAPE.sub(_escape_character, name)


def unescape(text: str) -> str:
    """Return the name that :func:`escape` was given."""
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else ESCAPE, text)


def _escape_character(match: re.Match[str]) -> str:
    return ESCAPE * 2 if match[0] == ESCAPE else f"{ESCAPE}{ord(match[0]):04x}"
