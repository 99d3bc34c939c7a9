"""Join words that are broken at the end of a line."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The last word of a line with a hyphen, and the letters that the next line starts with.
_BROKEN = re.compile(r"(?:^|(?<=[\s(\"“„«/]))(\w[\w'’‐-]*+)(?<=[^\W\d_][-‐])$")
_WORD = re.compile(r"\w++(?:[-‐]\w++)*+")
_START = re.compile(r"[^\W\d_]++")
# "Haupt- und Nebenkosten": the hyphen stands for the rest of the word.
_CONJUNCTIONS = frozenset(
    [
        "and",
        "or",
        "to",
        "und",
        "oder",
        "bis",
        "sowie",
        "bzw",
        "et",
        "ou",
        "en",
        "of",
        "y",
        "o",
        "e",
        "u",
        "og",
        "och",
        "eller",
    ]
)
# First parts of compounds that are no syllables of other words. Others, such as "ex" or "re", begin "ex-ample".
_COMPOUNDS = frozenset(
    [
        "all",
        "cross",
        "double",
        "four",
        "full",
        "half",
        "high",
        "long",
        "low",
        "multi",
        "non",
        "one",
        "self",
        "short",
        "single",
        "three",
        "two",
        "well",
        "wide",
    ]
)
_SHORTEST_SECOND_PART = 4
# Numbers such as "forty-two" and "quatre-vingt".
_TENS = re.compile(r"(?:twent|thirt|fort|fift|sixt|sevent|eight|ninet)y|quatre|(?:vi|tre|quara|cinqua|soixa)n(?:gt|te)")
_UNITS = re.compile(
    r"(?:one|two|three|four|five|six|seven|eight|nine|first|second|third|(?:four|fif|six|seven|eigh|nin)th|"
    r"deux|trois|quatre|cinq|sept|huit|neuf|vingts?|dix)$"
)


def join_broken_words(lines: Sequence[str]) -> list[str]:
    """Return the lines; where a word is broken between two, its end moves up to its start.

    The hyphen stays in compounds: those that the text has elsewhere, known ones, and those with another hyphen.
    """
    joined = list(lines)
    words: set[str] = set()
    for index in range(len(joined) - 1):
        line, following = joined[index], joined[index + 1]
        if line[-1:] not in ("-", "‐") or not following[:1].islower():
            continue
        start, broken = _START.match(following), _BROKEN.search(line[-100:])
        if not start or not broken or start[0].lower() in _CONJUNCTIONS:
            continue
        words = words or set(_WORD.findall("\n".join(lines).lower()))
        end, _, rest = following.partition(" ")
        joined[index] = (line if _keeps_hyphen(broken[1][:-1], start[0], words) else line[:-1]) + end
        joined[index + 1] = rest
    return [line for line, original in zip(joined, lines, strict=True) if line or not original]


def _keeps_hyphen(first: str, second: str, words: set[str]) -> bool:
    first, second = first.lower(), second.lower()
    if "-" in first or "‐" in first or len(first) == 1:
        return True
    if f"{first}-{second}" in words:
        return True
    if first + second in words:
        return False
    if _TENS.fullmatch(first) and _UNITS.match(second):
        return True
    return first in _COMPOUNDS and len(second) >= _SHORTEST_SECOND_PART
