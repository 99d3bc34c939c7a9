"""Read RTF documents: the text between the control words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from rag_pipeline.ingest.extract.code_pages import code_page
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.rtf_fonts import Font
from rag_pipeline.ingest.extract.readers.rtf_layout import RtfLayout
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-f]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.I
)
# Destinations without the author's text.
_SKIPPED = frozenset(
    b"colortbl listtable listoverridetable rsidtbl info pict themedata colorschememapping datastore latentstyles"
    b" xmlnstbl generator filetbl revtbl fldinst bkmkstart bkmkend nonshppict template sp shprslt nonesttables"
    b" background objdata listname listpicture ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn mmathpr xe tc rxe txe"
    b" docvar panose falt".split()
)
# Optional destinations, which others skip, that hold text.
_READ = frozenset(b"shpinst shptxt annotation atnauthor ud nesttableprops do footnote".split())
_MARGINS = frozenset(b"header headerl headerr headerf footer footerl footerr footerf".split())
_METADATA = {b"title": "title", b"author": "author", b"subject": "subject", b"keywords": "keywords"}
_CHARACTERS = {
    b"line": "\n", b"lbr": "\n", b"tab": "\t", b"emdash": "—", b"endash": "–", b"bullet": "•", b"lquote": "‘",
    b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”", b"emspace": " ", b"enspace": " ", b"qmspace": " ",
}  # fmt: skip
_SYMBOLS = {b"~": "\xa0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\"}
_TOKENS_PER_PROGRESS = 4096
_MAX_DEPTH = 10_000


@dataclass(slots=True)
class _Group:
    """The state that a group inherits, and what to do at its end.

    sink: takes the text instead of the document, such as for the title. fallback: characters after ``\\u``.
    """

    skip: bool = False
    fallback: int = 1
    font: int = -1
    hidden: bool = False
    deleted: bool = False
    sink: list[str] | None = None
    layout: RtfLayout | None = None
    at_end: Callable[[], None] | None = None


class _RtfParser:
    def __init__(self, writer: SectionWriter, options: ReadOptions) -> None:
        self.hidden = 0
        self._writer = writer
        self._options = options
        self._body = RtfLayout(FlowWriter(writer))
        self._margins = RtfLayout(FlowWriter(None))
        self._codec = "cp1252"
        self._default_font = -1
        self._fonts: dict[int, Font] = {}
        self._in_fonts = 0
        self._in_styles = 0
        self._style = 0
        self._style_levels: dict[int, int] = {}
        self._font = Font()
        self._group = _Group(layout=self._body)
        self._stack: list[_Group] = []
        self._is_optional = False
        self._skip_next_group = False
        self._bytes = bytearray()
        self._units: list[int] = []
        self._pending_fallback = 0
        self._author = ""
        self._repeats_above = False
        self.has_ended = False

    @property
    def _layout(self) -> RtfLayout:
        return self._group.layout or self._body

    def handle(self, token: re.Match[bytes]) -> int:
        """Handle a token; return the number of bytes of binary data that follow it."""
        word, number, code, symbol, brace, text = token.groups()
        if word is None and symbol != b"*":
            self._is_optional = False
        if brace:
            self._end_text()
            self._handle_brace(brace)
        elif word:
            return self._handle_word(word.lower(), int(number) if number else None)
        elif code:
            self._handle_bytes(bytes.fromhex(code.decode()))
        elif symbol == b"*":
            self._is_optional = True
        elif symbol in (b"\n", b"\r"):
            self._end_paragraph()
        elif symbol:
            self._write(_SYMBOLS.get(symbol, ""))
        elif text:
            self._handle_bytes(text)
        return 0

    def _handle_brace(self, brace: bytes) -> None:
        if brace == b"{":
            if len(self._stack) < _MAX_DEPTH:
                self._stack.append(self._group)
                self._group = replace(self._group, at_end=None, skip=self._group.skip or self._skip_next_group)
            self._skip_next_group = False
        elif self._stack:
            if self._group.at_end is not None:
                self._group.at_end()
            self._group = self._stack.pop()
            self.has_ended = not self._stack

    def _handle_word(self, word: bytes, number: int | None) -> int:
        is_optional, self._is_optional = self._is_optional, False
        if word == b"u" and number is not None:
            self._end_bytes()
            if not self._group.skip:
                self._units.append(number & 0xFFFF)
            self._pending_fallback = self._group.fallback
        elif word == b"bin" and number and number > 0:
            return number
        elif word in _SKIPPED or (is_optional and word not in _READ):
            self._end_text()
            self._group.skip = True
        elif not self._group.skip or word in _METADATA:
            self._end_text()
            self._handle_text_word(word, number)
        return 0

    def _handle_text_word(self, word: bytes, number: int | None) -> None:
        if word in _CHARACTERS:
            self._write(_CHARACTERS[word])
        elif word in (b"par", b"sect", b"page", b"column"):
            self._end_paragraph()
        elif not (self._handle_format(word, number) or self._handle_table(word, number)):
            self._handle_destination(word)

    def _handle_format(self, word: bytes, number: int | None) -> bool:
        """Handle a word of the document's or the text's format; return whether it is one."""
        group = self._group
        match word:
            case b"f" if number is not None:
                self._set_font(number)
            case b"plain":
                group.font, group.hidden, group.deleted = self._default_font, False, False
            case b"v":
                group.hidden = number != 0
            case b"deleted":
                group.deleted = number != 0
            case b"uc" if number is not None:
                group.fallback = max(0, min(number, 16))
            case b"ansicpg" if number:
                self._codec = code_page(number)
            case b"mac" | b"pc" | b"pca":
                self._codec = {b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850"}[word]
            case b"deff" if number is not None:
                self._default_font = group.font = number
            case b"fcharset" if self._in_fonts and number is not None:
                self._font.set_charset(number)
            case b"cpg" if self._in_fonts and number:
                self._font.codec = code_page(number)
            case b"s" if number is not None:
                self._style = number
                if not self._in_styles:
                    self._layout.level = self._style_levels.get(number)
            case b"outlinelevel" if number is not None:
                self._set_level(number)
            case _:
                return False
        return True

    def _handle_table(self, word: bytes, number: int | None) -> bool:
        """Handle a word of a table; return whether it is one."""
        layout = self._layout
        match word:
            case b"pard":
                layout.reset_paragraph()
            case b"intbl":
                layout.depth = max(layout.depth, 1)
            case b"itap":
                layout.depth = max(number or 0, 0)
            case b"trowd":
                layout.start_row_definition()
                self._repeats_above = False
            case b"clvmrg":
                self._repeats_above = True
            case b"cellx":
                layout.define_cell(repeats_above=self._repeats_above)
                self._repeats_above = False
            case b"cell":
                layout.end_cell()
            case b"row":
                layout.end_row()
            case b"nestcell":
                layout.end_cell(max(layout.depth, 2))
            case b"nestrow":
                layout.end_row(max(layout.depth, 2))
            case _:
                return False
        return True

    def _set_level(self, number: int) -> None:
        if not self._in_styles:
            self._layout.level = number + 1 if 0 <= number < 9 else None
        elif 0 <= number < 9 and not self._group.skip:
            self._style_levels[self._style] = number + 1

    def _set_font(self, number: int) -> None:
        if self._in_fonts:
            self._font = self._fonts.setdefault(number, Font())
        self._group.font = number

    def _handle_destination(self, word: bytes) -> None:
        group = self._group
        match word:
            case b"stylesheet":
                self._in_styles += 1
                group.sink = []
                group.at_end = self._end_styles
            case b"fonttbl":
                self._in_fonts += 1
                group.sink = []
                group.at_end = self._end_fonts
            case b"footnote" | b"shptxt" | b"dptxbxtext":
                self._start_aside("Footnote" if word == b"footnote" else "")
            case b"annotation":
                if self._options.comments:
                    self._start_aside("Comment" + (f" by {self._author}" if self._author else ""))
                else:
                    group.skip = True
            case b"atnauthor":
                self._collect(self._set_author)
            case b"upr":  # the next group repeats the text without Unicode
                self._skip_next_group = True
            case _ if word in _MARGINS:
                group.layout = self._margins
                group.at_end = self._margins.end_paragraph
            case _ if word in _METADATA:
                self._describe(_METADATA[word])

    def _start_aside(self, label: str) -> None:
        layout = self._layout
        layout.text("")
        layout.flow.start_aside(label)
        aside = RtfLayout(layout.flow)
        self._group.layout = aside

        def end() -> None:
            aside.end_open()
            layout.flow.end_aside()

        self._group.at_end = end

    def _describe(self, key: str) -> None:
        # The words also name other things outside of the document's information, in which all else is skipped.
        if self._group.skip:
            self._group.skip = False
            self._collect(lambda value: self._writer.describe(key, value))

    def _collect(self, take: Callable[[str], None]) -> None:
        """Pass the text of the group to a function, instead of writing it."""
        pieces: list[str] = []
        self._group.sink = pieces
        self._group.at_end = lambda: take("".join(pieces))

    def _set_author(self, name: str) -> None:
        self._author = name.strip()

    def _end_styles(self) -> None:
        self._in_styles -= 1

    def _end_fonts(self) -> None:
        self._in_fonts -= 1
        self._group.font = self._default_font

    def _handle_bytes(self, data: bytes) -> None:
        dropped = min(self._pending_fallback, len(data))
        self._pending_fallback -= dropped
        data = data[dropped:]
        if data and not self._group.skip:
            self._end_units()
            self._bytes += data

    def _end_paragraph(self) -> None:
        self._end_text()
        if not self._group.skip and self._group.sink is None and not (self._group.deleted or self._group.hidden):
            self._layout.end_paragraph()

    def _write(self, text: str) -> None:
        self._end_text()
        if not self._group.skip:
            self._put(text)

    def _put(self, text: str) -> None:
        group = self._group
        if self._in_fonts:
            self._font.set_name(self._font.name + text)
            if ";" in text:
                self._font = Font()
        elif group.sink is not None:
            group.sink.append(text)
        elif group.deleted or group.hidden:
            if self._options.hidden and text.strip():
                self._layout.text(f"[{'deleted' if group.deleted else 'hidden'}: {text}]")
            self.hidden += bool(text.strip()) and not group.deleted
        else:
            self._layout.text(text)

    def _end_text(self) -> None:
        self._end_bytes()
        self._end_units()
        self._pending_fallback = 0

    def _current_font(self) -> Font:
        return self._fonts.get(self._group.font) or Font()

    def _end_bytes(self) -> None:
        if self._bytes:
            self._end_units()
            data = bytes(self._bytes)
            self._bytes.clear()
            # The name of a font is in its own charset, but not in symbols.
            font = Font(codec=self._font.codec) if self._in_fonts else self._current_font()
            self._put(font.decode(data, self._codec))

    def _end_units(self) -> None:
        if self._units:
            packed = b"".join(unit.to_bytes(2, "little") for unit in self._units)
            self._units = []
            self._put(self._current_font().translate(packed.decode("utf-16-le", "replace")))

    def end(self) -> None:
        """Write the rest of the text, then headers and footers."""
        self._end_text()
        for group in (self._group, *reversed(self._stack)):
            if group.at_end is not None:
                group.at_end()
        self._body.end()
        self._margins.end()
        lines = [line for line in dict.fromkeys(self._margins.flow.lines) if any(map(str.isalpha, line))]
        if lines:
            self._writer.section("headers and footers")
            self._writer.write("\n".join(lines) + "\n")
        if self.hidden and not self._options.hidden:
            self._writer.warn("hidden_text", "hidden words are left out")


def read_rtf(file: InputFile, writer: SectionWriter) -> None:
    """Read an RTF file; locators are paths of headings. A missing brace at the end does no harm."""
    file.stream.seek(0)
    data = file.stream.read()
    parser = _RtfParser(writer, file.options)
    position = count = 0
    while position < len(data) and not parser.has_ended:
        token = _TOKEN.match(data, position)
        position = token.end() + parser.handle(token) if token else position + 1
        count += 1
        if count % _TOKENS_PER_PROGRESS == 0:
            writer.progress(position / len(data))
    parser.end()
