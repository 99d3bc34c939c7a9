"""Unicode normal forms in linear time.

The standard library sorts a run of combining marks by insertion and holds the GIL: a run of 32 KB stops every thread
for seconds. So text is made stream-safe first (UAX #15): after 30 marks in a row a COMBINING GRAPHEME JOINER begins
another run. No writing system uses nearly as many.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

MAX_MARKS = 30
_JOINER = "\u034f"
# The last mark with a combining class is U+1E94A. Variation selectors follow, which are never reordered.
_MARKS_END = 0x1F000
# These decompose into marks, but are no marks themselves.
_MADE_OF_MARKS = "\u0f73\u0f75\u0f81"


def stream_safe(text: str) -> str:
    """Return the text with no run of more than 30 combining marks."""
    if len(text) <= MAX_MARKS or text.isascii():
        return text
    likely, runs = _long_runs()
    return runs.sub(rf"\g<0>{_JOINER}", text) if likely.search(text) else text


def nfc(text: str) -> str:
    """Return the text in the composed form NFC."""
    return unicodedata.normalize("NFC", stream_safe(text))


def nfkc(text: str) -> str:
    """Return the text in the form NFKC, which also replaces compatibility characters such as ligatures."""
    return unicodedata.normalize("NFKC", stream_safe(text))


def nfd(text: str) -> str:
    """Return the text in the decomposed form NFD."""
    return unicodedata.normalize("NFD", stream_safe(text))


def nfkd(text: str) -> str:
    """Return the text in the form NFKD, which also replaces compatibility characters such as ligatures."""
    return unicodedata.normalize("NFKD", stream_safe(text))


@cache
def _long_runs() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return a quick pattern for text that may have long runs, and a pattern for the runs."""
    marks = [chr(code) for code in range(0x300, _MARKS_END) if unicodedata.combining(chr(code))]
    mark = f"[{''.join(marks)}{_MADE_OF_MARKS}]"
    # Beyond the first plane a character class checks its ranges one by one, so the quick pattern takes all of it for
    # marks.
    low = "".join(mark for mark in marks if mark <= "\uffff")
    near = f"[{low}{_MADE_OF_MARKS}\U00010000-{chr(_MARKS_END)}]"
    return re.compile(f"{near}{{{MAX_MARKS + 1}}}"), re.compile(f"{mark}{{{MAX_MARKS}}}(?={mark})")
