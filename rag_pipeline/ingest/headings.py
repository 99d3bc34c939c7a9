"""What a text is about, for search: its headings, and the name of its file."""

from __future__ import annotations

import re

SEPARATOR = " › "
# Positions in a file, such as "page 3" and "rows 2-40"; a sheet's name is kept.
_POSITION = re.compile(r"(?:pages?|slides?|lines?|rows?|cells?) [0-9]+(?:[-–][0-9]+)?|message")

_MOST_CHARACTERS = 120
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_SEPARATORS = re.compile(r"[\s_.+-]+")
# Names that programs and cameras give, such as IMG_2034, say nothing.
_SAYS_SOMETHING = re.compile(r"[^\W\d_]{3}")
_GENERIC = frozenset({"img", "dsc", "scan", "image", "document", "untitled", "readme", "index", "file", "page", "copy"})


def heading_path(locator: str) -> str:
    """Return the headings of a locator such as ``page 3 › Leave › Sick leave``, without positions in the file."""
    parts = (_without_position(part).removeprefix("sheet ") for part in locator.split(SEPARATOR))
    return SEPARATOR.join(filter(None, parts))


def _without_position(part: str) -> str:
    pieces = part.split(", ")
    while pieces and _POSITION.fullmatch(pieces[-1]):
        pieces.pop()
    return ", ".join(pieces)


def one_line(text: str) -> str:
    """Return the text on one line of bounded length."""
    return " ".join(text[: 2 * _MOST_CHARACTERS].split())[:_MOST_CHARACTERS]


def readable_name(name: str) -> str:
    """Return the words of a file's name, without folders and extension; empty if it says nothing of the content."""
    stem = _EXTENSION.sub("", name.rpartition("/")[2])
    words = _SEPARATORS.sub(" ", stem.encode("utf-8", "replace").decode("utf-8")).strip()
    telling = [word for word in words.split() if _SAYS_SOMETHING.search(word) and word.casefold() not in _GENERIC]
    return one_line(words) if telling else ""
