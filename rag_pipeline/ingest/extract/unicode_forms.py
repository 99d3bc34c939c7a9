"""Recognise UTF-16 and UTF-32 with and without byte order marks, and the charsets of seven bits with escapes."""

from __future__ import annotations

import codecs
import re
import unicodedata
from contextlib import suppress

# UTF-32 first: its little-endian byte order mark starts with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WITHOUT_BOM = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_ESCAPES = (
    ((b"\x1b$B", b"\x1b$@", b"\x1b$(D", b"\x1b(I"), "iso2022_jp_ext"),
    ((b"\x1b$)C",), "iso2022_kr"),
)
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e]){1,200}~\}")
# Ideographs, kana and their punctuation, and the kana and punctuation among them.
_EAST_ASIAN = re.compile("[\u2010-\u2026\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_KANA = re.compile("[\u3001-\u3002\u300c-\u300d\u3041-\u30fe\uff0c\uff1a]")
_MIN_EAST_ASIAN_BYTES = 16
_SAMPLE_BYTES = 4096
_MIN_BYTES = 8
_COMMON = frozenset(" \t\r\n.,;:-0123456789、。，　\u200f\u200e")
_LINE_ENDS = frozenset("\t\r\n\f\v\ufeff")
_PRINTABLE = bytes([9, 10, 13, *range(0x20, 0x7F)])
_READABLE = frozenset("LNPZSM")


def unicode_codec(head: bytes) -> str | None:
    """Return the codec of text in UTF-16 or UTF-32, or in any Unicode form with a byte order mark; else None."""
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return codec
    sample = head[:_SAMPLE_BYTES]
    zeros = sample.count(0)
    printable = len(sample) - len(sample.translate(None, _PRINTABLE))
    if len(sample) < _MIN_BYTES or printable > 0.8 * len(sample):
        return None
    if not zeros:
        return next((codec for codec in ("utf-16-le", "utf-16-be") if _is_east_asian(sample, codec)), None)
    scores = {codec: _score(sample, codec) for codec in _WITHOUT_BOM}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] > 0 else None


def escape_codec(head: bytes) -> str | None:
    """Return the codec of ISO-2022 or HZ text, whose characters are escape sequences and ASCII; else None."""
    if not head.isascii():
        return None
    if b"~{" in head and _HZ.search(head):
        with suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder("hz")().decode(head)
            return "hz"
    if b"\x1b" not in head:
        return None
    for escapes, codec in _ESCAPES:
        if any(escape in head for escape in escapes):
            try:
                codecs.getincrementaldecoder(codec)().decode(head)
            except UnicodeDecodeError:
                continue
            return codec
    return None


def _is_east_asian(sample: bytes, codec: str) -> bool:
    """Return whether bytes are Chinese or Japanese without a space or line end: no other sign has a zero byte."""
    if len(sample) < _MIN_EAST_ASIAN_BYTES or len(sample) % 2:
        return False
    with suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return False
    text = sample.decode(codec, "replace")
    return len(_EAST_ASIAN.findall(text)) >= 0.97 * len(text) and len(_KANA.findall(text)) >= 0.03 * len(text)


def _score(sample: bytes, codec: str) -> float:
    """Return the share of common characters, which a wrong byte order does not have; 0 for what is not text."""
    width = 4 if codec.startswith("utf-32") else 2
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample[: len(sample) - len(sample) % width])
    except UnicodeDecodeError:
        return 0
    readable = sum(char in _LINE_ENDS or unicodedata.category(char)[0] in _READABLE for char in text)
    if not text or readable < 0.97 * len(text):
        return 0
    common = sum(char in _COMMON or char < "\x7f" for char in text)
    planes = len({ord(char) >> 8 for char in text})
    # Binary tables of small numbers have zeros too, but few characters of text between them, or no line in common.
    letters = sum(char.isalnum() for char in text)
    if not common or letters * 2 < len(text) or planes > 8 + len(text) // 2:
        return 0
    return common / len(text)
