"""Collect the text of a file from its reader, and send it in sections with locators."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from rag_pipeline.errors import ExtractionLimitError
from rag_pipeline.ingest.extract.messages import Progressed, SectionFound, Warned, WorkerMessage

SECTION_CHARACTERS = 1 << 16
_LOCATOR_CHARACTERS = 200
_PROGRESS_INTERVAL_SECONDS = 0.05
_PROGRESS_STEP = 0.001
_MAX_WARNINGS = 20

# Characters that stores, terminals and JSON parsers can't handle: control characters and lone surrogates.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TRAILING_SPACE = re.compile(r"(?<![ \t\xa0])[ \t\xa0]++(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean(text: str) -> str:
    """Return the text as valid Unicode with ``\\n`` line ends, no control characters and no runs of blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\v", "\n")
    text = _CONTROL.sub("", text)
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", text)
    # Most text has none of these, and searching a fixed string is much faster than a pattern.
    if " \n" in text or "\t\n" in text or "\xa0\n" in text:
        text = _TRAILING_SPACE.sub("", text)
    return _BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text


class SectionWriter:
    """Collects the text of one file and sends it, section by section.

    A section ends where the locator changes, or after 65,536 characters. Raises
    :class:`~rag_pipeline.errors.ExtractionLimitError` when the text exceeds ``text_bytes``.
    """

    def __init__(self, send: Callable[[WorkerMessage], None], *, text_bytes: int) -> None:
        self._send = send
        self._text_bytes = text_bytes
        self._bytes_sent = 0
        self._sections = 0
        self._warnings = 0
        self._pieces: list[str] = []
        self._pending = 0
        self._locator = ""
        self._base_locator = ""
        self._headings: list[tuple[int, str]] = []
        self._only_headings = True
        self._fraction = 0.0
        self._next_progress = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether only white space has been written."""
        return self._sections == 0 and not "".join(self._pieces).strip()

    def section(self, locator: str) -> None:
        """Start a section with this locator."""
        self.flush()
        self._base_locator = self._locator = locator
        self._headings = []

    def heading(self, level: int, title: str) -> None:
        """Start a section under a heading; its locator is the path of headings, such as ``Leave › Sick leave``.

        Headings without text between them share a section.
        """
        title = " ".join(title.split())
        name = title[:_LOCATOR_CHARACTERS]  # each section below builds a locator from it
        if not title or (self._only_headings and (level, name) in self._headings[-1:]):
            return
        if not self._only_headings:
            self.flush()
        self._headings = [(above, text) for above, text in self._headings if above < level] + [(level, name)]
        self._locator = " › ".join(filter(None, [self._base_locator, *(text for _, text in self._headings)]))
        self._append(title + "\n")

    def write(self, text: str) -> None:
        """Add text to the section."""
        if self._only_headings and not text.isspace() and text:
            self._only_headings = False
        self._append(text)

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        self._pending += len(text)
        if self._pending >= SECTION_CHARACTERS:
            self._send_full_sections()

    def _send_full_sections(self) -> None:
        text = "".join(self._pieces)
        start = 0
        while len(text) - start >= SECTION_CHARACTERS:
            end = start + SECTION_CHARACTERS
            # Cut between paragraphs, lines or words if possible.
            for separator in ("\n\n", "\n", " "):
                cut = text.rfind(separator, start + SECTION_CHARACTERS // 2, end)
                if cut >= 0:
                    end = cut + len(separator)
                    break
            self._send_section(text[start:end])
            start = end
        self._pieces = [text[start:]]
        self._pending = len(text) - start

    def flush(self) -> None:
        """Send the text collected so far as a section."""
        text = "".join(self._pieces)
        self._pieces = []
        self._pending = 0
        self._only_headings = True
        self._send_section(text)

    def _send_section(self, text: str) -> None:
        text = clean(text).strip("\n")
        if not text.strip():
            return
        self._bytes_sent += len(text.encode())
        if self._bytes_sent > self._text_bytes:
            raise ExtractionLimitError(f"holds more than {self._text_bytes:,} bytes of text")
        self._sections += 1
        self._send(SectionFound(clean(self._locator)[:_LOCATOR_CHARACTERS], text))

    def progress(self, fraction: float) -> None:
        """Report the fraction of the file that has been read; cheap enough to call for each line."""
        if fraction < self._fraction + _PROGRESS_STEP and fraction < 1:
            return
        now = time.monotonic()
        if now >= self._next_progress:
            self._fraction = fraction = min(1.0, fraction)
            self._next_progress = now + _PROGRESS_INTERVAL_SECONDS
            self._send(Progressed(fraction))

    def warn(self, message: str) -> None:
        """Report a part of the file that is left out."""
        self._warnings += 1
        if self._warnings <= _MAX_WARNINGS:
            self._send(Warned(clean(message)[:300]))
