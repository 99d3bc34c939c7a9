"""Show spreadsheet numbers as a person sees them: dates, currencies and fractions are numbers with a number format."""

from __future__ import annotations

import math
import operator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from rag_pipeline.ingest.extract.readers.number_format import FormatSection, NumberFormat, Token, built_in_format

_GENERAL = built_in_format(0)
_LAST_DAY = 2_958_465  # 31 December 9999
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
_MAX_DECIMALS = 30


def show_number(text: str, number_format: NumberFormat, from_1904: bool = False) -> str:
    """Return a number as shown: ``$1,234.50``, ``2024-05-01``, ``01234``, ``1 3/4``; other text as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    if number_format is _GENERAL:
        return _general(number)
    section, signed = _section_for(number, number_format)
    if section.is_date:
        shown = _show_moment(number, section, from_1904)
        return _general(number) if shown is None else shown.strip()
    shown = _show_digits(abs(number), section)
    # A number that rounds to zero has no minus.
    return ("-" + shown if signed and number < 0 and _has_digit(shown) else shown).strip()


def show_text(text: str, number_format: NumberFormat) -> str:
    """Return the text of a cell as shown: a format's fourth section, or one of ``@``, may add words to it."""
    sections = number_format.sections
    section = sections[3] if len(sections) == 4 else sections[-1]
    if len(sections) < 4 and not any(_is_sign(token, "@") for token in section.tokens):
        return text
    return "".join(
        text if _is_sign(token, "@") else token.text for token in section.tokens if _shows_text(token)
    ).strip()


def _shows_text(token: Token) -> bool:
    return token.kind == "text" or _is_sign(token, "@")


def _is_sign(token: Token, sign: str) -> bool:
    return token.kind == "sign" and token.text == sign


def _has_digit(shown: str) -> bool:
    return any(char in "123456789" for char in shown) or not any(char.isdigit() for char in shown)


def _section_for(number: float, number_format: NumberFormat) -> tuple[FormatSection, bool]:
    """Return the section for a number, and whether it shows a minus before negative numbers."""
    sections = number_format.sections
    for section in sections[:3]:
        if section.condition is not None and _COMPARE[section.condition[0]](number, section.condition[1]):
            return section, True
    if any(section.condition for section in sections[:3]):
        rest = [section for section in sections[:3] if section.condition is None]
        return rest[-1] if rest else sections[0], True
    if number < 0 and len(sections) > 1:
        return sections[1], False
    if number == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], True


def _general(number: float) -> str:
    shown = f"{number:.15g}"
    if "e" not in shown:
        return shown
    digits, _, power = shown.partition("e")
    exponent = int(power)
    # As far as programs show all digits; search for a long number finds it.
    if 0 < exponent <= 20 or -9 <= exponent < 0:
        return f"{Decimal(shown):f}"
    return f"{digits}E{exponent:+03d}"


def _show_digits(number: float, section: FormatSection) -> str:
    if not section.has("digit", "power"):
        return "".join(_general(number) if token.kind == "general" or _is_sign(token, "@") else token.text
                       for token in section.tokens)  # fmt: skip
    with localcontext() as context:
        context.prec = 400
        context.rounding = ROUND_HALF_UP
        value = Decimal(f"{number:.15g}").scaleb(2 * sum(_is_sign(token, "%") for token in section.tokens))
        if any(_is_sign(token, "/") for token in section.tokens):
            return _show_fraction(value, section)
        return _show_decimal(value, section)


def _show_decimal(value: Decimal, section: FormatSection) -> str:
    tokens = section.tokens
    point = next((at for at, token in enumerate(tokens) if _is_sign(token, ".")), len(tokens))
    power = next((at for at, token in enumerate(tokens) if token.kind == "power"), len(tokens))
    first_end = min(point, power)
    grouped, scale = _commas(tokens[:power], first_end)
    value = value.scaleb(-3 * scale)
    decimals = [token.text for token in tokens[point:power] if token.kind == "digit"][:_MAX_DECIMALS]
    exponent = 0
    if power < len(tokens):
        whole = max(1, sum(token.kind == "digit" for token in tokens[:first_end]))
        exponent = _exponent(value, whole, len(decimals))
        value = value.scaleb(-exponent)
    rounded = value.quantize(Decimal(1).scaleb(-len(decimals)))
    integer, _, fraction = f"{rounded:f}".partition(".")
    shown = _fill(tokens[:first_end], integer.lstrip("0"), grouped=grouped)
    shown += _fill_decimals(tokens[point:power], fraction)
    if power < len(tokens):
        sign = "-" if exponent < 0 else "+" if tokens[power].text.endswith("+") else ""
        shown += f"E{sign}" + _fill(tokens[power + 1 :], str(abs(exponent)).lstrip("0"), grouped=False)
    return shown


def _exponent(value: Decimal, whole: int, decimals: int) -> int:
    """Return the power of ten: a multiple of the number of digits before the point."""
    if not value:
        return 0
    exponent = value.adjusted() // whole * whole
    if value.scaleb(-exponent).quantize(Decimal(1).scaleb(-decimals)).adjusted() >= whole:
        exponent += whole
    return exponent


def _commas(tokens: tuple[Token, ...], point: int) -> tuple[bool, int]:
    """Return whether digits before the point are grouped, and how often the number is divided by a thousand."""
    places = [at for at, token in enumerate(tokens) if token.kind == "digit"]
    if not places:
        return False, 0
    commas = [at for at, token in enumerate(tokens) if _is_sign(token, ",")]
    return any(places[0] < at < min(places[-1], point) for at in commas), sum(at > places[-1] for at in commas)


def _fill(tokens: tuple[Token, ...], digits: str, *, grouped: bool) -> str:
    """Put digits into the places of a format, from the right; the first place takes the rest."""
    places = [at for at, token in enumerate(tokens) if token.kind == "digit"]
    first = places[0] if places else -1
    pieces: list[str] = []
    shown = 0
    rest = digits
    for at in range(len(tokens) - 1, -1, -1):
        token = tokens[at]
        if token.kind == "digit":
            take = len(rest) if at == first else 1
            new, rest = (rest[-take:], rest[:-take]) if take and rest else ("", rest)
            for digit in reversed(new or {"0": "0", "?": " "}.get(token.text, "")):
                if grouped and shown and shown % 3 == 0 and digit != " ":
                    pieces.append(",")
                pieces.append(digit)
                shown += 1
        elif token.kind != "sign" or token.text not in ",.":
            pieces.append(token.text)
    return "".join(reversed([piece[::-1] if len(piece) == 1 else piece for piece in pieces]))


def _fill_decimals(tokens: tuple[Token, ...], digits: str) -> str:
    pieces: list[str] = []
    kept = len(digits.rstrip("0"))
    used = 0
    for token in tokens:
        if token.kind == "digit":
            if used < len(digits) and (token.text == "0" or used < kept):
                pieces.append(digits[used])
            used += 1
        elif _is_sign(token, "."):
            pieces.append(".")
        elif not _is_sign(token, ","):
            pieces.append(token.text)
    return "".join(pieces)


def _show_fraction(value: Decimal, section: FormatSection) -> str:
    """Show a number as a fraction: ``1 3/4`` for ``# ?/?``, ``12/8`` for ``#/8``."""
    tokens = section.tokens
    slash = next(at for at, token in enumerate(tokens) if _is_sign(token, "/"))
    before = "".join(token.text for token in tokens[:slash] if token.kind in ("digit", "text"))
    after = "".join(token.text for token in tokens[slash + 1 :] if token.kind in ("digit", "text")).strip()
    fixed = int(after) if after.isascii() and after.isdecimal() and len(after) < 8 else 0
    has_whole = " " in before.strip()
    whole = int(value) if has_whole else 0
    part = Fraction(value - whole)
    if fixed:
        bottom = fixed
        top = round(part * bottom)
    else:
        places = max(1, min(7, sum(char in "#?0" for char in after)))
        nearest = part.limit_denominator(10**places - 1)
        top, bottom = nearest.numerator, nearest.denominator
    if has_whole and top == bottom:
        whole, top = whole + 1, 0
    if top == 0:
        return str(whole)
    return f"{whole} {top}/{bottom}" if whole else f"{top}/{bottom}"


def _show_moment(number: float, section: FormatSection, from_1904: bool) -> str | None:
    """Return a date or time as shown; None if there is no such day."""
    if not 0 <= number <= _LAST_DAY:
        return None
    decimals = max((len(token.text) - token.text.index(".") - 1 for token in section.tokens
                    if token.kind == "date" and "." in token.text), default=0)  # fmt: skip
    decimals = min(decimals, 6)
    # Times are sums of seconds with floating-point noise.
    seconds = round(number * 86_400, max(decimals, 3))
    seconds = round(seconds, decimals) if section.has("date") and _shows_seconds(section) else seconds
    # Day 60 is 29 February 1900, which did not exist; earlier days count from one day later.
    start = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30 if number >= 60 else 31)  # noqa: DTZ001
    try:
        moment = start + timedelta(seconds=seconds)
    except OverflowError:
        return None
    is_half = section.has("half")
    return "".join(_show_part(token, moment, seconds, decimals, is_half) for token in section.tokens)


def _shows_seconds(section: FormatSection) -> bool:
    return any(token.kind in ("date", "elapsed") and token.text[0] == "s" for token in section.tokens)


def _show_part(token: Token, moment: datetime, seconds: float, decimals: int, is_half: bool) -> str:
    text = token.text
    if token.kind == "elapsed":
        unit = {"h": 3600, "m": 60, "s": 1}[text[0]]
        return f"{int(seconds // unit):0{len(text)}}"
    if token.kind == "half":
        return (text[:2] if moment.hour < 12 else text[-2:]) if len(text) == 5 else text[0 if moment.hour < 12 else -1]
    if token.kind != "date":
        return "" if _is_sign(token, "@") else text
    wide = len(text) > 1
    match text[0]:
        case "y" | "e":
            return f"{moment.year:04}" if len(text) > 2 or text[0] == "e" else f"{moment.year % 100:02}"
        case "m":
            name = _MONTHS[moment.month - 1]
            return {3: name[:3], 5: name[:1]}.get(len(text), name if len(text) > 3 else f"{moment.month:0{1 + wide}}")
        case "d":
            name = _DAYS[moment.weekday()]
            return name if len(text) > 3 else name[:3] if len(text) == 3 else f"{moment.day:0{1 + wide}}"
        case "h":
            hour = (moment.hour - 1) % 12 + 1 if is_half else moment.hour
            return f"{hour:0{1 + wide}}"
        case "M":
            return f"{moment.minute:0{1 + wide}}"
        case "s":
            places = f"{moment.second:0{2 if text.startswith('ss') else 1}}"
            return places + (f".{moment.microsecond:06}"[: decimals + 1] if "." in text else "")
        case "b":
            return f"{moment.year + 543}"
        case _:
            return ""
