"""Detect the encoding of a text file."""

from __future__ import annotations

import codecs
import io
import re
from typing import TextIO

from rag_pipeline.ingest.extract.input_file import HEAD_BYTES, InputFile

# UTF-32 first: its little-endian byte order mark starts with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The encodings that charset-normalizer may guess: only widespread ones, or a short text could pass for EBCDIC.
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"]
_LEGACY += ["shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
_BINARY_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_LINE_ENDS = str.maketrans("\t\r\n\f", "    ")
_SAMPLE_BYTES = 1 << 15
_MIN_GUESS_BYTES = 64


def looks_like_text(head: bytes) -> bool:
    """Return whether the first bytes of a file can be text in some encoding."""
    if _encoding_of_bom(head) or _utf16_without_bom(head):
        return True
    if b"\x00" in head:
        return False
    return len(_BINARY_CONTROL.findall(head)) <= len(head) // 100


def open_text(file: InputFile, *, declared: str | None = None) -> TextIO:
    """Return the file as text from its start; invalid bytes become U+FFFD.

    ``declared`` is the encoding that the file itself names. A byte order mark and valid UTF-8 take precedence over it.
    """
    encoding = find_encoding(file, declared=declared)
    file.stream.seek(0)
    file.text = io.TextIOWrapper(file.stream, encoding, errors="replace", newline=None)
    return file.text


def find_encoding(file: InputFile, *, declared: str | None = None) -> str:
    """Return Python's name of the encoding: by byte order mark, else UTF-8 if valid, else ``declared`` or a guess."""
    head = file.read_at(0, HEAD_BYTES)
    encoding = _encoding_of_bom(head) or _utf16_without_bom(head)
    if encoding:
        return encoding
    first_invalid = _first_invalid_utf8(file)
    if first_invalid is None:
        return "utf-8"
    if declared and _is_text_codec(declared):
        return declared
    return guess_encoding(file.read_at(first_invalid - _SAMPLE_BYTES // 2, _SAMPLE_BYTES))


def guess_encoding(sample: bytes) -> str:
    """Return the most likely legacy encoding; the most common one, Windows-1252, if the sample is small."""
    high = sum(byte >= 0x80 for byte in sample)
    # Statistics can't tell encodings apart by a few accents in ASCII text. Text in other scripts is mostly high bytes.
    if len(sample) >= _MIN_GUESS_BYTES and high * 4 > len(sample):
        from charset_normalizer import from_bytes

        best = from_bytes(sample, cp_isolation=_LEGACY).best()
        if best is not None:
            return best.encoding
    return "cp1252"


def _encoding_of_bom(head: bytes) -> str | None:
    return next((encoding for bom, encoding in _BOMS if head.startswith(bom)), None)


def _utf16_without_bom(head: bytes) -> str | None:
    """Return UTF-16's byte order if every second byte is zero, as in European languages; else None."""
    sample = head[:4096]
    half = len(sample) // 2
    if half < 2:
        return None
    even, odd = sample[0 : half * 2 : 2].count(0), sample[1 : half * 2 : 2].count(0)
    if odd > half * 0.4 and even < half * 0.05:
        encoding = "utf-16-le"
    elif even > half * 0.4 and odd < half * 0.05:
        encoding = "utf-16-be"
    else:
        return None
    text = sample[: half * 2].decode(encoding, "replace").translate(_LINE_ENDS)
    # Binary tables of small numbers have zeros in the same positions, but no printable characters between them.
    return encoding if sum(char.isprintable() for char in text) > len(text) * 0.9 else None


def _first_invalid_utf8(file: InputFile) -> int | None:
    """Return the offset of the first invalid UTF-8, to within a block; None if there is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.stream.seek(0)
    offset = 0
    # Text over the limit fails anyway.
    while offset <= file.limits.text_bytes and (block := file.stream.read(1 << 20)):
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            return offset + error.start
        offset += len(block)
    if offset >= file.size and decoder.getstate()[0]:
        return offset  # the file ends inside a character
    return None


def _is_text_codec(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding and b"a b".decode(name) == "a b"
    except (LookupError, ValueError):
        return False
