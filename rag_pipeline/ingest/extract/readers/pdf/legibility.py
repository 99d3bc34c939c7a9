"""Tell letters from codes: a font without a Unicode map has either, and only the look of the text says which."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from rag_pipeline.common.normal_forms import nfd
from rag_pipeline.ingest.extract.clean_text import count_odd

if TYPE_CHECKING:
    from pypdf import PdfReader

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_GLYPH_NAME = re.compile(r"/[A-Za-z]{1,6}\d[\da-f]{0,5}")
_WORD = re.compile(r"\w+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff\ufb00-\ufb06]")
_CJK = re.compile("[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]")
_COMMON = re.compile("[\\d.,:;!?'\"()/%€$£+*=#&@§–—“”„«»’•`´^~¨ˆ˜¯ˇ˘˙˚˝¸-]")
# 9ROXPHV, 2Q and dEF are glyph numbers; 3rd, 12kg and GmbH are words.
_MIXED_WORD = re.compile(r"\d[A-Z]|[^\W\d_]\d+[^\W\d_]|[a-z][A-Z]{2}")
_FAULT_SHARE, _COMMON_SHARE, _LETTER_SHARE, _MIXED_SHARE = 0.03, 0.9, 0.2, 0.15
_VOWELS, _FEW_LETTERS = (0.15, 0.7), 6
_MANY_LETTERS = 12
# The codes of TeX's text encodings that are not those of ASCII. The ligatures become letters in ``clean``.
_OT1 = {
    0x0B: "\ufb00", 0x0C: "\ufb01", 0x0D: "\ufb02", 0x0E: "\ufb03", 0x0F: "\ufb04", 0x10: "ı", 0x11: "ȷ", 0x12: "`",
    0x13: "´", 0x14: "ˇ", 0x15: "˘", 0x16: "¯", 0x17: "˚", 0x18: "¸", 0x19: "ß", 0x1A: "æ", 0x1B: "œ", 0x1C: "ø",
    0x1D: "Æ", 0x1E: "Œ", 0x1F: "Ø", 0x22: "”", 0x5C: "“", 0x5E: "ˆ", 0x5F: "˙", 0x7B: "–", 0x7C: "—", 0x7D: "˝",
    0x7E: "˜", 0x7F: "¨",
}  # fmt: skip
_T1 = {
    0x10: "“", 0x11: "”", 0x12: "„", 0x13: "«", 0x14: "»", 0x15: "–", 0x16: "—", 0x19: "ı", 0x1A: "ȷ", 0x1B: "\ufb00",
    0x1C: "\ufb01", 0x1D: "\ufb02", 0x1E: "\ufb03", 0x1F: "\ufb04", 0x7F: "-",
}  # fmt: skip
# The other codes of T1 are those of Latin-1, or these.
_T1_LETTERS = _T1 | dict(
    zip(
        [*range(0x80, 0xC0), 0xD7, 0xDF, 0xF7, 0xFF],
        "ĂĄĆČĎĚĘĞĹĽŁŃŇŊŐŔŘŚŠŞŤŢŰŮŸŹŽŻĲİđ§ăąćčďěęğĺľłńňŋőŕřśšşťţűůÿźžżĳ¡¿£Œẞœß",
        strict=True,
    )
)
_IS_T1 = re.compile("[\x10-\x1f\xff]|[A-Za-z][\x80-\xbc][a-z]")
_SHARP_S_OF_LATIN_1 = "\xdf"
_OT1_LIGATURE = re.compile("[\x0b-\x0f]")
_MAX_USELESS_ANSWERS = 3


def looks_like_text(text: str) -> bool:
    """Return whether characters look like a language, and not like numbers of glyphs taken for characters."""
    visible = "".join(text.split())
    faults = len(_CONTROL.findall(text)) + 3 * len(_GLYPH_NAME.findall(text))
    if not visible or faults > _FAULT_SHARE * len(visible):
        return False
    latin, cjk, common = (len(pattern.findall(visible)) for pattern in (_LATIN, _CJK, _COMMON))
    if max(latin, cjk) + common < _COMMON_SHARE * len(visible) or max(latin, cjk) < _LETTER_SHARE * len(visible):
        return visible.isdigit()
    if cjk > latin:
        return True
    words = _WORD.findall(text)
    if sum(bool(_MIXED_WORD.search(word)) for word in words) > _MIXED_SHARE * len(words):
        return False
    vowels = sum(map(nfd(visible).lower().count, "aeiouy"))
    most = latin if len(set(visible.lower())) >= _MANY_LETTERS else _VOWELS[1] * latin  # a list of accented vowels
    return latin >= _FEW_LETTERS and _VOWELS[0] * latin <= vowels <= most


def tex_letters(codes: str) -> str:
    """Return the codes of a font as letters of TeX's encoding OT1 or T1, one for each; ASCII letters stay.

    OT1 is known by its ligatures, which few pages lack, because T1 has accents in their places.
    """
    if _OT1_LIGATURE.search(codes):
        return codes.translate(_OT1)
    is_t1 = _IS_T1.search(codes) and _SHARP_S_OF_LATIN_1 not in codes
    return codes.translate(_T1_LETTERS if is_t1 else _T1)


class SecondOpinion:
    """The text of single pages by pypdf, which knows some fonts that PDFium does not."""

    def __init__(self, stream: BinaryIO, size: int, max_bytes: int) -> None:
        """Ask about this file, unless it is larger than ``max_bytes``: pypdf needs memory for all of it."""
        self._stream = stream
        self._size = size
        self._reader: PdfReader | None = None
        self._useless = 0 if size <= max_bytes else _MAX_USELESS_ANSWERS

    def page_text(self, index: int) -> str:
        """Return the text of a page; empty if it is no better. Pages of 30 a second, so only for bad ones."""
        if self._useless >= _MAX_USELESS_ANSWERS:
            return ""
        try:
            text = self._open().pages[index].extract_text()
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - pypdf raises anything on damaged files
            text = ""
        if count_odd(text) > 0.01 * len(text) or not looks_like_text(text):
            self._useless += 1
            return ""
        self._useless = 0
        return text

    def _open(self) -> PdfReader:
        if self._reader is None:
            from pypdf import PdfReader

            self._stream.seek(0)
            self._reader = PdfReader(BytesIO(self._stream.read(self._size)))
            if self._reader.is_encrypted:
                self._reader.decrypt("")
        return self._reader
