"""Take pictures that are written into a text (data: URIs) out of it."""

from __future__ import annotations

import re

# 64 characters are more than a program writes by hand, and fewer than any picture takes.
_DATA_URI = re.compile(r"data:[\w.+-]{1,100}/[\w.+-]{1,100}(?:;[\w=.+-]{1,100}){0,5};base64,[A-Za-z0-9+/=_%-]{16,}+")
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


def without_data_uris(text: str) -> str:
    """Return a whole text without data: URIs."""
    return DataUriFilter().filter(text)
