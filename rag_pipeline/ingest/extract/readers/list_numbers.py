"""Write the numbers of lists, which documents store as counters and formats."""

from __future__ import annotations

from collections.abc import Callable

BULLET = "•"
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщыэюя"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_CJK = "〇一二三四五六七八九"


def _letters(number: int, alphabet: str = "abcdefghijklmnopqrstuvwxyz") -> str:
    """Return a, b, … z, aa, bb, …"""
    turns, at = divmod(number - 1, len(alphabet))
    return alphabet[at] * min(turns + 1, 100)


def _roman(number: int) -> str:
    if number > 5000:
        return str(number)
    pieces = []
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        pieces.append(letters * count)
    return "".join(pieces)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _chinese(number: int) -> str:
    if number > 99:
        return str(number)
    tens, ones = divmod(number, 10)
    if not tens:
        return _CJK[ones]
    return (_CJK[tens] if tens > 1 else "") + "十" + (_CJK[ones] if ones else "")


_FORMATS: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "decimalZero": lambda number: f"{number:02}",
    "ordinal": _ordinal,
    "russianLower": lambda number: _letters(number, _RUSSIAN),
    "russianUpper": lambda number: _letters(number, _RUSSIAN).upper(),
    "greekLower": lambda number: _letters(number, _GREEK),
    "greekUpper": lambda number: _letters(number, _GREEK).upper(),
    "chineseCounting": _chinese,
    "chineseCountingThousand": _chinese,
    "japaneseCounting": _chinese,
    "taiwaneseCountingThousand": _chinese,
    "ideographDigital": lambda number: "".join(_CJK[int(digit)] for digit in str(number)),
    "decimalEnclosedCircle": lambda number: chr(0x245F + number) if number <= 20 else str(number),
    "none": lambda _: "",
    # OpenDocument's names.
    "a": _letters,
    "A": lambda number: _letters(number).upper(),
    "i": _roman,
    "I": lambda number: _roman(number).upper(),
    "": lambda _: "",
}


def write_number(number: int, number_format: str) -> str:
    """Return a list number as text; in digits for formats that are not known."""
    if number < 1:
        return "" if number_format in ("none", "") else str(number)
    return _FORMATS.get(number_format, str)(number)
