"""Clean text for stores and searches: valid Unicode in NFC, without control and invisible characters."""

from __future__ import annotations

import re

from rag_pipeline.common.normal_forms import nfc, nfkc

# Characters that stores, terminals and JSON parsers can't handle: control characters and lone surrogates.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TRAILING_SPACE = re.compile(r"(?<![ \t])[ \t]++(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")
# A soft hyphen at the end of a line breaks a word there.
_SOFT_HYPHEN = re.compile(r"\xad(?:[ \t]*\n)?")
# Zero-width space, word joiner, invisible operators, marks of direction, and tags, which hide text from people.
_INVISIBLE = re.compile("[\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\U000e0000-\U000e007f]")
# Joiners are letters' own in Arabic and Indic scripts and in emoji, and only there.
_JOINERS = re.compile("[\u200c\u200d]+")
_FIRST_WITH_JOINERS = "\u0590"
# Ligatures, Arabic presentation forms, and the radicals that some PDF fonts have in place of Chinese characters.
_COMPATIBILITY = re.compile("[\u2f00-\u2fd5\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufdf9\ufe70-\ufefc]+")
# Bullets and signs of the fonts Symbol and Wingdings, in their private-use places.
_SYMBOLS = {
    0xF02D: "-", 0xF0A7: "▪", 0xF0A8: "□", 0xF0B7: "•", 0xF0D8: "➢", 0xF0E0: "→", 0xF0FC: "✓", 0xF06E: "■", 0xF076: "❖",
}  # fmt: skip
_SYMBOL = re.compile("[" + "".join(map(chr, _SYMBOLS)) + "]")
_ODD = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")


def clean(text: str) -> str:
    """Return the text as valid Unicode in NFC, with ``\\n`` line ends and no runs of blank lines.

    Control characters, soft hyphens and invisible characters are removed; ligatures become letters.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\v", "\n")
    text = _CONTROL.sub("", text) if text.isascii() else _clean_unicode(text)
    # Most text has none of these, and searching a fixed string is much faster than a pattern.
    if " \n" in text or "\t\n" in text:
        text = _TRAILING_SPACE.sub("", text)
    return _BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _clean_unicode(text: str) -> str:
    text = _CONTROL.sub("", text)
    text = _SURROGATE.sub("\ufffd", text)
    if "\xad" in text:
        text = _SOFT_HYPHEN.sub("", text)
    text = _INVISIBLE.sub("", text)
    for space in "\xa0\u2007\u202f":  # they only keep a line from being broken there
        text = text.replace(space, " ")
    if "\u200c" in text or "\u200d" in text:
        text = _JOINERS.sub(_keep_joiner, text)
    text = _COMPATIBILITY.sub(lambda match: nfkc(match[0]), text)
    text = text.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3")  # Thai, Lao am; NFC has no fold
    text = _SYMBOL.sub(lambda match: _SYMBOLS[ord(match[0])], text)
    return nfc(text)


def _keep_joiner(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return match[0][0] if before >= _FIRST_WITH_JOINERS and after >= _FIRST_WITH_JOINERS else ""


def count_odd(text: str) -> int:
    """Return the number of characters that are not readable text: undecoded, control or private-use ones."""
    return len(_ODD.findall(text if text.isascii() else _SYMBOL.sub("", text)))
