"""Parse the number formats of spreadsheets, such as ``#,##0.00;[Red]-#,##0.00`` or ``dd/mm/yyyy hh:mm``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# The formats that files refer to by number. Programs show 14 and 22 in the order of their country, and 27 to 36 and 50
# to 58 in Chinese, Japanese or Korean: here all of them are shown in the order that everyone understands.
_BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0_);("$"#,##0)', 6: '"$"#,##0_);("$"#,##0)',
    7: '"$"#,##0.00_);("$"#,##0.00)', 8: '"$"#,##0.00_);("$"#,##0.00)', 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd hh:mm", 37: "#,##0_);(#,##0)",
    38: "#,##0_);(#,##0)", 39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);(#,##0.00)", 41: "#,##0", 42: '"$"#,##0',
    43: "#,##0.00", 44: '"$"#,##0.00', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    **dict.fromkeys([*range(27, 32), 36, *range(50, 59)], "yyyy-mm-dd"), 32: "h:mm", 33: "h:mm:ss", 34: "yyyy-mm-dd",
    35: "yyyy-mm-dd",
}  # fmt: skip
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*+)"?|\\(?P<escaped>.)|(?P<pad>[_*].?)|\[(?P<bracket>[^\[\]]*+)\]?|(?P<general>general)'
    r"|(?P<half>am/pm|a/p)|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?|e+(?![+-])|b+|g+)|(?P<power>e[+-])"
    r"|(?P<digit>[0#?])|(?P<sign>[.,%/@;])|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[0-9.]{1,30})$")
_ELAPSED = re.compile(r"(?:h+|m+|s+)$", re.I)
_MAX_CODE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a format. ``kind`` is one of: text, digit, sign, power, date, elapsed, half (AM or PM), general."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class FormatSection:
    """The format of the numbers that meet a condition, such as ``<0``."""

    tokens: tuple[Token, ...]
    condition: tuple[str, float] | None = None

    def has(self, *kinds: str) -> bool:
        """Return whether it has a token of one of these kinds."""
        return any(token.kind in kinds for token in self.tokens)

    @property
    def is_date(self) -> bool:
        """Whether it shows dates or times."""
        return self.has("date", "elapsed", "half")


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The sections of a format, in order: positive, negative, zero and text; fewer if they share one."""

    sections: tuple[FormatSection, ...]

    @property
    def is_date(self) -> bool:
        """Whether it shows dates or times."""
        return self.sections[0].is_date


def built_in_format(identifier: int) -> NumberFormat:
    """Return a format that files refer to by number; General for an unknown one."""
    return parse_format(_BUILT_IN.get(identifier, "General"))


@lru_cache(maxsize=1024)
def parse_format(code: str) -> NumberFormat:
    """Parse the code of a format."""
    sections: list[FormatSection] = []
    tokens: list[Token] = []
    condition: tuple[str, float] | None = None
    for match in _TOKEN.finditer(code[:_MAX_CODE_CHARACTERS]):
        kind, text = match.lastgroup or "other", match[match.lastgroup or 0] or ""
        if kind == "sign" and text == ";":
            sections.append(_section(tokens, condition))
            tokens, condition = [], None
        elif kind == "bracket" and (found := _CONDITION.match(text)):
            condition = found[1], _number(found[2])
        else:
            tokens += _tokens(kind, text)
    sections.append(_section(tokens, condition))
    return NumberFormat(tuple(sections[:4]))


def _tokens(kind: str, text: str) -> list[Token]:
    match kind:
        case "quoted" | "escaped" | "other":
            return [Token("text", text)]
        case "pad":  # white space as wide as a character, or to the width of the column
            return []
        case "bracket":
            if _ELAPSED.match(text):
                return [Token("elapsed", text.lower())]
            if text.startswith("$"):  # a currency and a language: $€-407
                return [Token("text", text[1:].partition("-")[0])]
            return []  # a colour
        case "half":
            return [Token("half", text)]
        case _:
            return [Token(kind, text.lower())]


def _section(tokens: Sequence[Token], condition: tuple[str, float] | None) -> FormatSection:
    """Return a section; ``m`` beside hours or seconds means minutes, and then its token is in upper case."""
    tokens = list(tokens)
    times = [at for at, token in enumerate(tokens) if token.kind in ("date", "elapsed")]
    for before, at, after in zip([None, *times], times, [*times[1:], None], strict=False):
        token = tokens[at]
        if token.kind == "date" and token.text in ("m", "mm"):
            follows_hour = before is not None and tokens[before].text[0] == "h"
            if follows_hour or (after is not None and tokens[after].text[0] == "s"):
                tokens[at] = Token("date", token.text.upper())
    if not times:
        tokens = [Token("text", token.text) if token.kind == "half" else token for token in tokens]
    return FormatSection(tuple(tokens), condition)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
