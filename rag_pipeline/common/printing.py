"""Print text from outside so that it can't move the cursor or forge a line."""

from __future__ import annotations

import sys
from typing import TextIO


def printable(text: str) -> str:
    """Return the text on one line; control characters and direction marks become escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def say(text: str = "", stream: TextIO | None = None, *, end: str = "\n") -> None:
    """Print one line to ``stream`` (default: stdout) and flush; characters that its encoding lacks become escapes."""
    out = sys.stdout if stream is None else stream
    if out is None:  # closed from the start, as by `>&-`
        return
    encoding = getattr(out, "encoding", None) or "utf-8"
    print(printable(text).encode(encoding, "backslashreplace").decode(encoding), file=out, end=end, flush=True)


def say_lines(text: str, stream: TextIO | None = None) -> None:
    """Print several lines; parts from outside must be :func:`printable` already."""
    for line in text.split("\n"):
        say(line, stream)
