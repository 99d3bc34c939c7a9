"""Text for a terminal or a log of lines: names and messages from outside can't move a cursor or forge a line."""

from __future__ import annotations

import sys
from typing import TextIO


def printable(text: str) -> str:
    """Return the text on one line, with control characters and those that turn its direction written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text)


def say(text: str = "", stream: TextIO | None = None, *, end: str = "\n") -> None:
    """Print one line, at once, to ``stream`` (default: stdout); what its encoding does not have is escaped too."""
    out = sys.stdout if stream is None else stream
    if out is None:  # closed from the start, as by `>&-`
        return
    encoding = getattr(out, "encoding", None) or "utf-8"
    print(printable(text).encode(encoding, "backslashreplace").decode(encoding), file=out, end=end, flush=True)


def say_lines(text: str, stream: TextIO | None = None) -> None:
    """Print text of several lines that was put together here; what is from outside in it is printable already."""
    for line in text.split("\n"):
        say(line, stream)
