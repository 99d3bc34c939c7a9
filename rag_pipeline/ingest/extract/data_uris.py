"""Tell files in base64, such as pictures in data: URIs, from text."""

from __future__ import annotations

import re

# 64 characters are more than a program writes by hand, and fewer than any picture takes.
_DATA_URI = re.compile(r"data:[\w.+-]{1,100}/[\w.+-]{1,100}(?:;[\w=.+-]{1,100}){0,5};base64,[A-Za-z0-9+/=_%-]{16,}+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]++={0,2}")
_LEAST_FILE = 128
_REST_OF_URI = re.compile(r"[A-Za-z0-9+/=_%-]*+")


class DataUriFilter:
    """Removes data: URIs from text that comes in pieces, such as the parts of a long line."""

    def __init__(self) -> None:
        self._is_inside = False

    def filter(self, text: str) -> str:
        """Return the text without URIs; one that reaches the end may continue in the next piece."""
        if self._is_inside:
            rest = _REST_OF_URI.match(text)
            end = rest.end() if rest else 0
            self._is_inside = end == len(text)
            text = text[end:]
        if "base64," not in text:
            return text
        last = None
        for match in _DATA_URI.finditer(text):
            last = match
        self._is_inside = last is not None and last.end() == len(text)
        return _DATA_URI.sub("", text)


def is_base64(text: str) -> bool:
    """Return whether a text is only a file in base64: without spaces within its lines, in both cases."""
    if len(text) < _LEAST_FILE:  # nearly all texts
        return False
    joined = "".join(line.strip() for line in text.splitlines())
    return len(joined) >= _LEAST_FILE and bool(_BASE64.fullmatch(joined)) and not (joined.isupper() or joined.islower())


def without_data_uris(text: str) -> str:
    """Return a whole text without data: URIs."""
    return DataUriFilter().filter(text)
