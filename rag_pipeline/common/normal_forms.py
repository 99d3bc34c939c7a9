"""Unicode's normal forms, in time that grows with the text alone.

The standard library sorts a run of combining marks by insertion, with the interpreter's lock held: 32 KB of them in a
row stop every thread for seconds. So text is made stream-safe first, as UAX #15 describes it: after 30 marks in a row a
COMBINING GRAPHEME JOINER begins another run. No writing system comes near so many.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

MAX_MARKS = 30
_JOINER = "\u034f"
# The last mark with a class of its own is U+1E94A; what follows are variation selectors, which are never reordered.
_MARKS_END = 0x1F000
# Not marks by themselves, but made of marks alone.
_MADE_OF_MARKS = "\u0f73\u0f75\u0f81"


def stream_safe(text: str) -> str:
    """Return the text with no run of more than 30 combining marks."""
    if len(text) <= MAX_MARKS or text.isascii():
        return text
    likely, runs = _long_runs()
    return runs.sub(rf"\g<0>{_JOINER}", text) if likely.search(text) else text


def nfc(text: str) -> str:
    """Return the text composed."""
    return unicodedata.normalize("NFC", stream_safe(text))


def nfd(text: str) -> str:
    """Return the text decomposed."""
    return unicodedata.normalize("NFD", stream_safe(text))


def nfkd(text: str) -> str:
    """Return the text decomposed, with characters that are others in another dress, such as ligatures, replaced."""
    return unicodedata.normalize("NFKD", stream_safe(text))


@cache
def _long_runs() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds text that may have long runs, and what finds them; made when needed, as most text is ASCII."""
    marks = [chr(code) for code in range(0x300, _MARKS_END) if unicodedata.combining(chr(code))]
    mark = f"[{''.join(marks)}{_MADE_OF_MARKS}]"
    # Beyond the first plane each range of a class is looked at in turn, so the first look takes all of it for marks.
    low = "".join(mark for mark in marks if mark <= "\uffff")
    near = f"[{low}{_MADE_OF_MARKS}\U00010000-{chr(_MARKS_END)}]"
    return re.compile(f"{near}{{{MAX_MARKS + 1}}}"), re.compile(f"{mark}{{{MAX_MARKS}}}(?={mark})")
