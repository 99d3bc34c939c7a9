"""Format spreadsheet numbers as displayed: dates and percentages are numbers with a number format."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import Enum

_DATE_IDS = frozenset(map(str, [*range(14, 18), 22, *range(27, 37), *range(50, 59)]))
_TIME_IDS = frozenset(map(str, [18, 19, 20, 21, 45, 46, 47]))
_PERCENT_IDS = frozenset({"9", "10"})
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\[(?!h|m|s)[^\[\]]*+\]', re.I)
_OF_DATE = re.compile(r"[yd]")
_OF_TIME = re.compile(r"[hs]")
_LAST_DAY = 2_958_465  # 31 December 9999


class NumberFormat(Enum):
    """The kinds of number formats."""

    PLAIN = 0
    DATE = 1
    TIME = 2
    PERCENT = 3


def classify(identifier: str, code: str) -> NumberFormat:
    """Return the kind of a number format, from a built-in id or a code such as ``dd/mm/yyyy``."""
    code = _LITERAL.sub("", code.lower()).split(";")[0]
    if identifier in _DATE_IDS or _OF_DATE.search(code):
        return NumberFormat.DATE
    if identifier in _TIME_IDS or _OF_TIME.search(code):
        return NumberFormat.TIME
    if identifier in _PERCENT_IDS or "%" in code:
        return NumberFormat.PERCENT
    return NumberFormat.PLAIN


def format_number(text: str, number_format: NumberFormat, from_1904: bool) -> str:
    """Return the number as text: ``2024-05-01``, ``09:30``, ``12.5%``, or without floating-point noise."""
    try:
        number = float(text)
    except ValueError:
        return text
    if number_format is NumberFormat.DATE and 0 <= number <= _LAST_DAY:
        return _date(number, from_1904)
    if number_format is NumberFormat.TIME and 0 <= number <= _LAST_DAY:
        minutes = round(number * 24 * 60)
        return f"{minutes // 60:02}:{minutes % 60:02}"
    if number_format is NumberFormat.PERCENT:
        return f"{number * 100:.10g}%"
    return f"{number:.15g}"


def _date(number: float, from_1904: bool) -> str:
    # Day 60 is 29 February 1900, which did not exist; earlier days count from one day later.
    start = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30 if number >= 60 else 31)  # noqa: DTZ001
    moment = start + timedelta(seconds=round(number * 86_400))
    return moment.strftime("%Y-%m-%d") if number == int(number) else moment.strftime("%Y-%m-%d %H:%M")
