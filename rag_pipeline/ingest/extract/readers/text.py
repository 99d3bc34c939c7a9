"""Read plain text, source code, logs, JSON and Markdown, in sections by lines or headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TextIO

from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.data_uris import DataUriFilter
from rag_pipeline.ingest.extract.front_matter import MAX_LINES, fence_of, parse_front_matter
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.terminal_codes import without_terminal_codes

BLOCK_CHARACTERS = 4000
_MAX_LINE_CHARACTERS = 1 << 16

_ATX_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]++(.*+)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=++|-++)[ \t]*+$")
_JSON_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")


def _lines(file: InputFile, text: TextIO, writer: SectionWriter) -> Iterator[str]:
    """Yield lines with their line ends; a very long line comes in pieces."""
    count = 0
    rest = ""
    while piece := text.readline(_MAX_LINE_CHARACTERS):
        count += len(piece)
        writer.progress(count / file.size)
        line, rest = rest + piece, ""
        # Cut a long line between words if possible.
        if not line.endswith("\n") and (cut := line.rfind(" ") + 1) > len(line) // 2:
            line, rest = line[:cut], line[cut:]
        yield line
    if rest:
        yield rest


class _LineBlocks:
    """Groups lines into sections, preferably at empty lines; the locator is the range of lines."""

    def __init__(self, writer: SectionWriter) -> None:
        self._writer = writer
        self._lines: list[str] = []
        self._characters = 0
        self._first = 1
        self._number = 1

    def add(self, line: str) -> None:
        self._lines.append(line)
        self._characters += len(line)
        if line.endswith("\n"):
            self._number += 1
        full = self._characters >= BLOCK_CHARACTERS
        if full and (not line.strip() or self._characters >= 2 * BLOCK_CHARACTERS):
            self.end()

    def end(self) -> None:
        last = self._number - 1 if self._lines and self._lines[-1].endswith("\n") else self._number
        self._writer.section(f"line {self._first}" if last <= self._first else f"lines {self._first}-{last}")
        self._writer.write("".join(self._lines))
        self._lines = []
        self._characters = 0
        self._first = self._number


def read_text(file: InputFile, writer: SectionWriter) -> None:
    """Read text unchanged, without colours for terminals; locators are ranges of lines."""
    blocks = _LineBlocks(writer)
    for line in _lines(file, open_text(file, writer), writer):
        blocks.add(without_terminal_codes(line))
    blocks.end()


def read_json(file: InputFile, writer: SectionWriter) -> None:
    """Read JSON line by line, with ``\\u`` escapes decoded for search; locators are ranges of lines."""
    blocks = _LineBlocks(writer)
    for line in _lines(file, open_text(file, writer), writer):
        blocks.add(_JSON_ESCAPES.sub(_unescape, line) if "\\u" in line else line)
    blocks.end()


def _unescape(match: re.Match[str]) -> str:
    units = bytes.fromhex(match[0].replace("\\u", ""))
    text = units.decode("utf-16-be", "replace")
    return text if text.isprintable() else match[0]


def read_markdown(file: InputFile, writer: SectionWriter) -> None:
    """Read Markdown unchanged, without its front matter and embedded pictures; locators are paths of headings."""
    fence = ""
    previous = ""
    pictures = DataUriFilter()
    for line in map(pictures.filter, _without_front_matter(_lines(file, open_text(file, writer), writer), writer)):
        marker = _FENCE.match(line)
        if fence:
            if marker and marker[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif marker:
            fence = marker[1]
        elif heading := _ATX_HEADING.match(line):
            writer.write(previous)
            previous = ""
            # Strip closing hashes here: a pattern for them would backtrack over every way to divide the spaces.
            title = heading[2].rstrip(" \t").rstrip("#")
            writer.heading(len(heading[1]), title)
            continue
        elif (
            previous.strip() and (underline := _UNDERLINE.match(line)) and not previous.lstrip().startswith(("-", "|"))
        ):
            writer.heading(1 if underline[1][0] == "=" else 2, previous)
            previous = ""
            continue
        writer.write(previous)
        previous = line
    writer.write(previous)


def _without_front_matter(lines: Iterator[str], writer: SectionWriter) -> Iterator[str]:
    """Yield the lines below the front matter, and describe the file by it."""
    first = next(lines, "")
    ends = fence_of(first.lstrip("\ufeff"))
    if not ends:
        yield first
        yield from lines
        return
    held = list(islice(lines, 1))
    while held and held[-1].rstrip() not in ends and len(held) < MAX_LINES and (line := next(lines, "")):
        held.append(line)
    values = parse_front_matter(held[:-1]) if held and held[-1].rstrip() in ends else None
    if values is None:
        yield first
        yield from held
    for key, value in (values.plain if values else {}).items():
        writer.describe(key, value)
    for text in values.blocks if values else ():
        writer.write(text + "\n\n")
    yield from lines
