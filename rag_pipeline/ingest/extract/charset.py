"""Detect the charset of a text file: byte order marks, UTF-8, what the file declares, else a guess."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, TextIO, cast

from rag_pipeline.ingest.extract.cesu8 import CESU_8, SURROGATE_BYTES
from rag_pipeline.ingest.extract.charset_guess import guess_charset
from rag_pipeline.ingest.extract.charset_labels import codec_for_label
from rag_pipeline.ingest.extract.input_file import HEAD_BYTES, InputFile
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.nul_filter import NulFilter
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.unicode_forms import escape_codec, unicode_codec

_NULS = re.compile(rb"\x00{2,}+")
_BINARY_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HIGH = re.compile(rb"[\x80-\xff]")
_BLOCK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 15
_SAMPLES = 8
_LEAD_BYTES = 200  # before the first byte above ASCII, for the rest of its line
_GOOD_PER_BAD = 2


def looks_like_text(head: bytes) -> bool:
    """Return whether the first bytes of a file can be text in some charset."""
    if unicode_codec(head) or escape_codec(head):
        return True
    text = _NULS.sub(b"\x00", head).rstrip(b"\x00") if b"\x00" in head else head
    if (not text and head) or (len(head) == HEAD_BYTES and len(text) < len(head) // 2):
        return False
    return len(_BINARY_CONTROL.findall(text)) <= len(text) // 100


def open_text(file: InputFile, writer: SectionWriter | None = None, *, declared: str | None = None) -> TextIO:
    """Return the file as text from its start; invalid bytes become U+FFFD, and ``writer`` gets a warning of them.

    NUL bytes in text are left out, with a warning too.
    ``declared`` is the charset that the file itself names. A byte order mark and UTF-8 take precedence over it.
    """
    encoding, bad, nuls = _find(file, declared)
    if bad and writer is not None:
        writer.warn("undecodable_bytes", "bytes that are not valid UTF-8 were replaced", bad)
    if nuls and writer is not None:
        writer.warn("nul_bytes", "NUL bytes were left out", nuls)
    file.stream.seek(0)
    stream = NulFilter(file.stream) if nuls else file.stream
    file.text = io.TextIOWrapper(cast(BinaryIO, stream), encoding, errors="replace", newline=None)
    return file.text


def find_encoding(file: InputFile, *, declared: str | None = None) -> str:
    """Return Python's codec of the file."""
    return _find(file, declared)[0]


def decode_text(data: bytes, declared: str | None = None) -> str:
    """Return bytes as text, by the same rules as a file."""
    file = InputFile(io.BytesIO(data), len(data), "", ExtractionLimits())
    return data.decode(find_encoding(file, declared=declared), "replace")


def _find(file: InputFile, declared: str | None) -> tuple[str, int, int]:
    """Return the codec, the number of bytes that are invalid in it if it is UTF-8, and that of NUL bytes in text."""
    head = file.read_at(0, HEAD_BYTES)
    if encoding := unicode_codec(head) or escape_codec(head):
        has_nuls = encoding.startswith(("utf-16", "utf-32"))
        return encoding, 0, 0 if has_nuls else sum(block.count(0) for block in _blocks(file))
    encoding, good, bad, nuls = _count_utf8(file)
    if not bad or good >= _GOOD_PER_BAD * bad:
        return encoding, bad, nuls
    label = codec_for_label(declared) if declared else None
    if label and label != "utf-8":
        return label, 0, nuls
    return _guess(file), 0, nuls


def _blocks(file: InputFile) -> Iterator[bytes]:
    file.stream.seek(0)
    done = 0
    # Text over the limit fails anyway.
    while done <= file.limits.text_bytes and (block := file.stream.read(_BLOCK_BYTES)):
        done += len(block)
        yield block
    if file.stream.read(1) == b"":
        yield b""  # the end of the file


def _count_utf8(file: InputFile) -> tuple[str, int, int, int]:
    """Return the form of UTF-8, and the numbers of characters above ASCII, of invalid bytes and of NUL bytes."""
    decoder = codecs.getincrementaldecoder(CESU_8)("replace")
    encoding = "utf-8"
    good = bad = nuls = 0
    for block in _blocks(file):
        nuls += block.count(0)
        if block.isascii() and block and not decoder.getstate()[0]:
            continue
        if SURROGATE_BYTES.search(block):
            encoding = CESU_8
        text = decoder.decode(block, final=not block)
        replaced = text.count("\ufffd") - block.count(b"\xef\xbf\xbd")
        bad += max(0, replaced)
        good += len(text) - len(text.encode("ascii", "ignore")) - max(0, replaced)
    return encoding, good, bad, nuls


def _guess(file: InputFile) -> str:
    charset = guess_charset(_sample(file))
    # Without the additions of Windows, the standard's own codec has its own wave dash.
    return "shift_jis" if charset == "cp932" and _decodes(file, "shift_jis") else charset


def _sample(file: InputFile) -> bytes:
    """Return lines that are not ASCII from several parts of the file."""
    step = max(_SAMPLE_BYTES, file.size // _SAMPLES)
    first = _first_high(file)
    offsets = [first - _LEAD_BYTES if first > _SAMPLE_BYTES else 0, *range(step, file.size, step)]
    return b"\n".join(part for offset in offsets if not (part := _whole_lines(file, offset)).isascii())


def _whole_lines(file: InputFile, offset: int) -> bytes:
    """Return the lines at an offset: a cut inside a line could cut a character."""
    part = file.read_at(offset, _SAMPLE_BYTES)
    start = part.find(b"\n") + 1 if offset else 0
    end = part.rfind(b"\n") + 1 if offset + len(part) < file.size else len(part)
    lines = part[start:end]
    return part if lines.isascii() else lines


def _first_high(file: InputFile) -> int:
    done = 0
    for block in _blocks(file):
        if match := _HIGH.search(block):
            return done + match.start()
        done += len(block)
    return 0


def _decodes(file: InputFile, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for block in _blocks(file):
            decoder.decode(block, final=not block)
    except UnicodeDecodeError:
        return False
    return True
