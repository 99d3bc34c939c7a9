"""Read HTML: the text under its headings, without scripts, styles and form controls."""

from __future__ import annotations

import re

from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.html_parser import HtmlParser
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_BLOCK_CHARACTERS = 1 << 18
_SKIPPED = frozenset(
    {"script", "style", "noscript", "template", "svg", "math", "select", "textarea", "iframe", "object"}
)
_BLOCKS = frozenset(
    """address article aside blockquote body br caption dd details div dl dt fieldset figcaption figure footer form
    header hr html legend li main nav ol option p pre section summary table tbody tfoot thead tr ul""".split()  # noqa: SIM905
)
# The title is a heading too; most pages repeat it as their first heading.
_HEADINGS = {"title": 1, **{f"h{level}": level for level in range(1, 7)}}
_SPACE = re.compile(r"\s+")
_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*+=\s*+[\"']?\s*+([-\w.:]+)", re.I)


class HtmlText(HtmlParser):
    """Writes the text of the markup passed to ``feed``; call ``close`` at the end."""

    def __init__(self, writer: SectionWriter) -> None:
        super().__init__()
        self._writer = writer
        self._skip_tag = ""
        self._skip_depth = 0
        self._preformatted = 0
        self._heading: list[str] | None = None
        self._level = 0
        self._space = False  # whether a space goes before the next word
        self._at_line_start = True

    def open_tag(self, tag: str, *, is_empty: bool) -> None:
        """Handle an opening tag; ignore an empty one whose content would be skipped."""
        if not is_empty:
            self._open(tag)
        elif tag not in _SKIPPED:
            self._open(tag)
            self.close_tag(tag)

    def _open(self, tag: str) -> None:
        if self._skip_tag:
            self._skip_depth += tag == self._skip_tag
        elif tag in _SKIPPED:
            self._skip_tag, self._skip_depth = tag, 1
        elif tag in _HEADINGS:
            self._end_heading()
            self._heading, self._level = [], _HEADINGS[tag]
        elif tag in ("td", "th"):
            if not self._at_line_start:
                self._writer.write(" |")
                self._space = True
        elif tag in _BLOCKS:
            self._break_line()
            self._preformatted += tag == "pre"
            if tag == "li":
                self._writer.write("- ")

    def close_tag(self, tag: str) -> None:
        """Handle a closing tag."""
        if self._skip_tag:
            if tag == self._skip_tag:
                self._skip_depth -= 1
                if self._skip_depth == 0:
                    self._skip_tag = ""
        elif tag in _HEADINGS:
            self._end_heading()
        elif tag in _BLOCKS:
            self._break_line()
            if tag in ("p", "table", "ul", "ol", "dl", "pre", "blockquote"):
                self._writer.write("\n")
            if tag == "pre":
                self._preformatted = max(0, self._preformatted - 1)

    def data(self, text: str) -> None:
        """Handle text."""
        if self._skip_tag:
            return
        if self._heading is not None:
            self._heading.append(text)
            return
        if self._preformatted:
            self._writer.write(text)
            self._at_line_start = text.endswith("\n")
            return
        words = _SPACE.sub(" ", text)
        if self._space or words.startswith(" "):
            words = " " + words.lstrip(" ")
        if self._at_line_start:
            words = words.lstrip(" ")
        self._space = words.endswith(" ") or (self._space and not words)
        if words := words.rstrip(" "):
            self._writer.write(words)
            self._at_line_start = False

    def close(self) -> None:
        """Write the rest of the text."""
        super().close()
        self._end_heading()
        self._break_line()

    def _break_line(self) -> None:
        if self._heading is not None:
            self._heading.append(" ")
        elif not self._at_line_start:
            self._writer.write("\n")
        self._at_line_start = True
        self._space = False

    def _end_heading(self) -> None:
        if self._heading is None:
            return
        title, self._heading = "".join(self._heading), None
        self._break_line()
        self._writer.heading(self._level, title)


def read_html(file: InputFile, writer: SectionWriter) -> None:
    """Read an HTML page; locators are paths of headings."""
    declared = _DECLARED.search(file.read_at(0, 4096))
    text = open_text(file, declared=declared[1].decode("latin-1") if declared else None)
    parser = HtmlText(writer)
    done = 0
    while block := text.read(_BLOCK_CHARACTERS):
        parser.feed(block)
        done += len(block)
        writer.progress(done / file.size)
    parser.close()
