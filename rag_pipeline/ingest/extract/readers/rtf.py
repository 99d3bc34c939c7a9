"""Read RTF documents: the text between the control words."""

from __future__ import annotations

import codecs
import re

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-f]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.I
)
# Destinations without the author's text.
_SKIPPED = frozenset(
    b"fonttbl colortbl stylesheet listtable listoverridetable rsidtbl info pict object themedata colorschememapping"
    b" datastore latentstyles xmlnstbl generator filetbl revtbl header headerl headerr headerf footer footerl footerr"
    b" footerf fldinst bkmkstart bkmkend nonshppict template".split()
)
_CHARACTERS = {
    b"par": "\n",
    b"line": "\n",
    b"sect": "\n",
    b"page": "\n",
    b"row": "\n",
    b"tab": "\t",
    b"cell": " | ",
    b"emdash": "—",
    b"endash": "–",
    b"bullet": "•",
    b"lquote": "‘",
    b"rquote": "’",
    b"ldblquote": "“",
    b"rdblquote": "”",
    b"emspace": " ",
    b"enspace": " ",
}
_SYMBOLS = {b"~": "\xa0", b"_": "-", b"\n": "\n", b"\r": "\n", b"{": "{", b"}": "}", b"\\": "\\"}
_TOKENS_PER_PROGRESS = 4096


class _GroupState:
    """The state that a group inherits: whether text is skipped, and the number of fallback characters after ``\\u``."""

    __slots__ = ("fallback", "skip")

    def __init__(self, skip: bool = False, fallback: int = 1) -> None:
        self.skip = skip
        self.fallback = fallback


class _RtfParser:
    def __init__(self, writer: SectionWriter) -> None:
        self._writer = writer
        self._codec = "cp1252"
        self._state = _GroupState()
        self._stack: list[_GroupState] = []
        self._bytes = bytearray()
        self._units: list[int] = []
        self._pending_fallback = 0
        self._is_balanced = True

    def handle(self, token: re.Match[bytes]) -> int:
        """Handle a token; return the number of bytes of binary data that follow it."""
        word, number, code, symbol, brace, text = token.groups()
        if brace:
            self._end_text()
            self._handle_brace(brace)
        elif word:
            return self._handle_word(word.lower(), int(number) if number else None)
        elif code:
            self._handle_bytes(bytes.fromhex(code.decode()))
        elif symbol == b"*":
            self._state.skip = True  # an optional destination, unknown to older programs
        elif symbol:
            self._write(_SYMBOLS.get(symbol, ""))
        elif text:
            self._handle_bytes(text)
        return 0

    def _handle_brace(self, brace: bytes) -> None:
        if brace == b"{":
            self._stack.append(self._state)
            self._state = _GroupState(self._state.skip, self._state.fallback)
        elif self._stack:
            self._state = self._stack.pop()
        else:
            self._is_balanced = False

    def _handle_word(self, word: bytes, number: int | None) -> int:
        if word == b"u" and number is not None:
            self._end_bytes()
            if not self._state.skip:
                self._units.append(number & 0xFFFF)
            self._pending_fallback = self._state.fallback
        elif word == b"uc" and number is not None:
            self._state.fallback = max(0, min(number, 16))
        elif word == b"ansicpg" and number:
            self._codec = _codec(number)
        elif word == b"bin" and number and number > 0:
            return number
        elif word in _SKIPPED:
            self._end_text()
            self._state.skip = True
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])
        return 0

    def _handle_bytes(self, data: bytes) -> None:
        dropped = min(self._pending_fallback, len(data))
        self._pending_fallback -= dropped
        data = data[dropped:]
        if data and not self._state.skip:
            self._end_units()
            self._bytes += data

    def _write(self, text: str) -> None:
        self._end_text()
        if not self._state.skip:
            self._writer.write(text)

    def _end_text(self) -> None:
        self._end_bytes()
        self._end_units()
        self._pending_fallback = 0

    def _end_bytes(self) -> None:
        if self._bytes:
            self._end_units()
            self._writer.write(self._bytes.decode(self._codec, "replace"))
            self._bytes.clear()

    def _end_units(self) -> None:
        if self._units:
            packed = b"".join(unit.to_bytes(2, "little") for unit in self._units)
            self._units = []
            self._writer.write(packed.decode("utf-16-le", "replace"))

    def end(self) -> bool:
        """Write the rest of the text; return whether every group was closed."""
        self._end_text()
        return self._is_balanced and not self._stack


def _codec(number: int) -> str:
    try:
        return codecs.lookup(f"cp{number}").name
    except LookupError:
        return "cp1252"


def read_rtf(file: InputFile, writer: SectionWriter) -> None:
    """Read an RTF file; it has no locators. Headers, footers and field instructions are left out."""
    file.stream.seek(0)
    data = file.stream.read()
    parser = _RtfParser(writer)
    position = count = 0
    while position < len(data):
        token = _TOKEN.match(data, position)
        position = token.end() + parser.handle(token) if token else position + 1
        count += 1
        if count % _TOKENS_PER_PROGRESS == 0:
            writer.progress(position / len(data))
    if not parser.end():
        raise CorruptFileError("it ends within a group")
