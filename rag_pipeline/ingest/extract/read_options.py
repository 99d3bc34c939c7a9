"""Options that decide which parts of a file are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is read beside the text that everyone sees.

    hidden: sheets, rows, columns, slides and words that are hidden, and deleted words; they are marked, such as with
    ``[hidden]``. comments: comments and annotations.
    """

    hidden: bool = False
    comments: bool = True
