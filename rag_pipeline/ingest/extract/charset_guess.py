"""Guess the legacy charset of text that is not valid Unicode and names none."""

from __future__ import annotations

import re

# Those in which people keep text. The detector knows more, for which a few accents in a short text could pass.
_CANDIDATES = (
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "tis-620", "koi8-r",
    "koi8-u", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "iso8859-13",
    "iso8859-15", "iso8859-16", "cp855", "cp866", "cp437", "cp850", "cp852", "mac-cyrillic", "mac-roman",
    "cp932", "shift_jis_2004", "euc_jis_2004", "gb18030", "big5hkscs", "cp949", "euc_kr", "johab",
)  # fmt: skip
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "iso8859-8": "cp1255",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "shift_jis_2004": "cp932",
    "euc_jis_2004": "euc_jp",
    "euc_kr": "cp949",
}
_WORD = re.compile(r"[^\W\d_]{1,50}")
# Signs between letters in Windows-1252 are the letters of another charset.
_SIGN_IN_WORD = re.compile(r"[^\W\d_][¢£¤¥¦¨©¬¯±²³´¶¸¹¼½¾×÷][^\W\d_]|[¯³¹][^\W\d_]")
# Parts of frames between letters, other than the lines of tables, and control characters of ISO 8859.
_DEBRIS = re.compile(r"[^\W\d_][\u2500\u2501\u2503-\u2550\u2552-\u259f][^\W\d_]|[\x80-\x84\x86-\x9f]")
_ICELANDIC = re.compile("[áéíóúæÁÉÍÓÚÆ]")
# What Turkish letters are in Windows-1252, where Icelandic has none: ş after a vowel, İ at the start of a word.
_TURKISH = re.compile(r"[üÜçÇ]|[aeiouöý]þ|\bÝ")
_HAS_THORN = re.compile("[þÞýÝðÐ]")
# Belarusian has this letter after vowels only; the Ukrainian variant of the charset has і in its place.
_UKRAINIAN = re.compile("[бвгджзклмнпрстфхцчшщ]ў")
DEFAULT = "cp1252"
_UNSURE = 0.08
_NEAR = 0.6
_MOST_DEBRIS = 30  # one in so many bytes above ASCII


def guess_charset(sample: bytes) -> str:
    """Return the most likely charset; the most common one, Windows-1252, if the sample has no words in it."""
    if _is_symbols(sample):
        return DEFAULT
    from chardet import detect_all

    guesses = detect_all(
        sample, ignore_threshold=True, compat_names=False, max_bytes=len(sample), include_encodings=_CANDIDATES
    )
    plausible = (
        (name, guess["confidence"])
        for guess in guesses
        if (name := guess["encoding"]) and _is_plausible(sample, _SUPERSETS.get(name, name))
    )
    best, confidence = next(plausible, (DEFAULT, 1.0))
    if variant := _variant(sample, _SUPERSETS.get(best, best)):
        return variant
    if confidence < _UNSURE and not _SIGN_IN_WORD.search(sample.decode(DEFAULT, "replace")):
        # A few accents: the most common charset, if it is near.
        near = (name for name, other in plausible if other >= _NEAR * confidence)
        best = next((name for name in near if _SUPERSETS.get(name, name) == DEFAULT), best)
    return _SUPERSETS.get(best, best)


def _variant(sample: bytes, codec: str) -> str | None:
    """Return the charset that differs from the guess in a few letters only, if the words need these."""
    text = sample.decode(codec, "replace")
    if codec == DEFAULT and not _ICELANDIC.search(text) and _HAS_THORN.search(text) and _TURKISH.search(text):
        return "cp1254"
    return "cp1125" if codec == "cp866" and _UKRAINIAN.search(text) else None


def _is_symbols(sample: bytes) -> bool:
    """Return whether all bytes above ASCII are signs such as £ and – in Windows-1252, none of them in a word."""
    text = sample.decode(DEFAULT, "replace")
    high = {char for char in text if char > "\x7f"}
    return not any(char.isalpha() or char == "\ufffd" for char in high) and not _SIGN_IN_WORD.search(text)


def _is_plausible(sample: bytes, codec: str) -> bool:
    text = sample.decode(codec, "replace")
    above_ascii = len(sample) - len(sample.decode("ascii", "ignore"))
    return len(_DEBRIS.findall(text)) * _MOST_DEBRIS <= above_ascii and not _mixes_scripts(text)


def _mixes_scripts(text: str) -> bool:
    """Return whether words mix Latin letters with those of another alphabet, as accents read wrongly do."""
    mixed = foreign = 0
    for word in _WORD.findall(text):
        if not word.isascii():
            scripts = {_script(char) for char in word}
            foreign += "" in scripts
            mixed += scripts >= {"", "LATIN"}
    return mixed * 3 > foreign


def _script(char: str) -> str:
    """Return LATIN, IDEOGRAPHIC, or nothing for another alphabet."""
    if char < "\u0250" or "\u1e00" <= char < "\u1f00" or "\uff21" <= char < "\uff5b":
        return "LATIN"
    return "IDEOGRAPHIC" if char >= "\u2e80" else ""
