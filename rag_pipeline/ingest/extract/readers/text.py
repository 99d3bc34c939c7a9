"""Plain text, source code, logs, JSON and Markdown: sections of lines, or under headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.output import Output
from rag_pipeline.ingest.extract.source import Source

BLOCK_CHARACTERS = 4000
_MAX_LINE_CHARACTERS = 1 << 16

_ATX_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]++(.*+)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=++|-++)[ \t]*+$")
_JSON_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")


def _lines(source: Source, text: TextIO, output: Output) -> Iterator[str]:
    """Yield lines with their ends; an endless line comes in pieces."""
    count = 0
    rest = ""
    while piece := text.readline(_MAX_LINE_CHARACTERS):
        count += len(piece)
        output.progress(count / source.size)
        line, rest = rest + piece, ""
        # Between words, where there are any.
        if not line.endswith("\n") and (cut := line.rfind(" ") + 1) > len(line) // 2:
            line, rest = line[:cut], line[cut:]
        yield line
    if rest:
        yield rest


class _Blocks:
    """Groups lines into sections named by their range, cut at empty lines where there are any."""

    def __init__(self, output: Output) -> None:
        self._output = output
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
        self._output.section(f"line {self._first}" if last <= self._first else f"lines {self._first}-{last}")
        self._output.write("".join(self._lines))
        self._lines = []
        self._characters = 0
        self._first = self._number


def read_text(source: Source, output: Output) -> None:
    """Read text as it is; places are ranges of lines."""
    blocks = _Blocks(output)
    for line in _lines(source, open_text(source), output):
        blocks.add(line)
    blocks.end()


def read_json(source: Source, output: Output) -> None:
    """Read JSON line by line, with ``\\u`` escapes as the characters they stand for, so that they can be found."""
    blocks = _Blocks(output)
    for line in _lines(source, open_text(source), output):
        blocks.add(_JSON_ESCAPES.sub(_unescape, line) if "\\u" in line else line)
    blocks.end()


def _unescape(match: re.Match[str]) -> str:
    units = bytes.fromhex(match[0].replace("\\u", ""))
    text = units.decode("utf-16-be", "replace")
    return text if text.isprintable() else match[0]


def read_markdown(source: Source, output: Output) -> None:
    """Read Markdown as it is; places are paths of headings."""
    fence = ""
    previous = ""
    for line in _lines(source, open_text(source), output):
        marker = _FENCE.match(line)
        if fence:
            if marker and marker[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif marker:
            fence = marker[1]
        elif heading := _ATX_HEADING.match(line):
            output.write(previous)
            previous = ""
            # The hashes that may end it are cut off here: a pattern for them would try all ways to divide the spaces.
            title = heading[2].rstrip(" \t").rstrip("#")
            output.heading(len(heading[1]), title)
            continue
        elif (
            previous.strip() and (underline := _UNDERLINE.match(line)) and not previous.lstrip().startswith(("-", "|"))
        ):
            output.heading(1 if underline[1][0] == "=" else 2, previous)
            previous = ""
            continue
        output.write(previous)
        previous = line
    output.write(previous)
