"""Tell the kinds of table cells apart: numbers, dates, years and ranges, text."""

from __future__ import annotations

import re
from enum import Enum

_MAX_VALUE_CHARACTERS = 40
_NUMBER = re.compile(
    r"[-+−(]?\s?(?:[A-Z]{3}\s?|[$€£¥₹]\s?)?[-+−]?(?:[0-9][0-9.,'\u00a0\u202f ]*+|\.[0-9]++)(?:[eE][-+]?[0-9]{1,3})?"
    r"\s?(?:%|‰|°|[$€£¥₹]|[A-Z]{3}|[a-zµ²³°/]{1,4})?\)?"
)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_SPAN = re.compile(
    r"(?:19|20)[0-9]{2}\s?[-–/]\s?[0-9]{1,4}|[0-9]{1,3}\s?[-–]\s?[0-9]{1,3}|[0-9]{1,3}\+|[<>≤≥]\s?[0-9]{1,3}"
    r"|Q[1-4](?:[ /-]?(?:19|20)[0-9]{2})?|(?:19|20)[0-9]{2}[ /-]?Q[1-4]"
)
_DATE = re.compile(
    r"[0-9]{4}[-/.][0-9]{1,2}(?:[-/.][0-9]{1,2})?(?:[T ].{1,30})?"
    r"|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})(?: .{1,20})?"
    r"|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]{1,6})?(?: ?[AaPp]\.?[Mm]\.?)?"
    r"|[0-9]{1,2}\.? [A-Za-zäé]{3,9}\.? (?:19|20)[0-9]{2}|[A-Za-zäé]{3,9}[- ](?:[0-9]{1,2}, )?(?:19|20)[0-9]{2}"
)
_MISSING = frozenset({"-", "–", "—", "--", ".", "..", "...", "?", "n/a", "na", "nan", "null", "none", "#n/a", "nil"})
_LOGICAL = frozenset({"true", "false"})


class CellKind(Enum):
    """The kinds of cells; ``SPAN`` is a year, quarter or range, which may head a column."""

    EMPTY = 0
    TEXT = 1
    NUMBER = 2
    DATE = 3
    SPAN = 4

    @property
    def is_value(self) -> bool:
        """Whether the cell is a number, date, year or range."""
        return self in (CellKind.NUMBER, CellKind.DATE, CellKind.SPAN)


def cell_kind(cell: str) -> CellKind:
    """Return the kind of a cell without white space around it; a sign for a missing value counts as empty."""
    if not cell or cell.lower() in _MISSING:
        return CellKind.EMPTY
    if len(cell) > _MAX_VALUE_CHARACTERS:
        return CellKind.TEXT
    if _YEAR.fullmatch(cell) or _SPAN.fullmatch(cell):
        return CellKind.SPAN
    if _DATE.fullmatch(cell):
        return CellKind.DATE
    if _NUMBER.fullmatch(cell) or cell.lower() in _LOGICAL:
        return CellKind.NUMBER
    return CellKind.TEXT
