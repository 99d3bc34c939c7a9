"""Collect the text of a file from its reader, and send it in sections with locators."""

from __future__ import annotations

import time
from collections.abc import Callable

from rag_pipeline.errors import ExtractionLimitError, UnreadableTextError
from rag_pipeline.ingest.extract.clean_text import clean, count_odd
from rag_pipeline.ingest.extract.messages import PagesRead, Progressed, SectionFound, Warned, WorkerMessage
from rag_pipeline.ingest.types import TextQuality

SECTION_CHARACTERS = 1 << 16
_LOCATOR_CHARACTERS = 200
_PROGRESS_INTERVAL_SECONDS = 0.05
_PROGRESS_STEP = 0.001
_MAX_WARNINGS = 20
_MAX_METADATA, _METADATA_CHARACTERS = 50, 500
MAX_ODD_SHARE = 0.2
"""A file with a higher share of odd characters fails: its text is garbage."""
_WARNED_ODD_SHARE = 0.001


def check_legible(odd_share: float) -> None:
    """Raise :class:`~rag_pipeline.errors.UnreadableTextError` if more than a fifth of the characters are odd."""
    if odd_share > MAX_ODD_SHARE:
        raise UnreadableTextError(f"has unreadable text: {odd_share:.0%} of its characters could not be decoded")


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
        self._warnings: dict[tuple[str, str], int] = {}
        self._repeated: set[tuple[str, str]] = set()
        self._characters = 0
        self._odd = 0
        self._undecoded = 0
        self._unwritten = 0
        self._all_pages = 0
        self._pages: int | None = None
        self._pages_without_text = 0
        self._in_page = False
        self._page_sections = 0
        self._is_scan = False
        self._pieces: list[str] = []
        self._pending = 0
        self._locator = ""
        self._base_locator = ""
        self._headings: list[tuple[int, str]] = []
        self._only_headings = True
        self._fraction = 0.0
        self._next_progress = 0.0
        self.metadata: dict[str, str] = {}
        self.length = 0
        """The number of characters written so far, without pieces of white space."""

    @property
    def is_empty(self) -> bool:
        """Whether only white space has been written."""
        return self._sections == 0 and not "".join(self._pieces).strip()

    @property
    def quality(self) -> TextQuality:
        """The figures about the text sent so far."""
        share = round((self._odd + self._unwritten) / max(1, self._characters + self._unwritten), 4)
        without_text = self._pages_without_text if self._pages is not None else None
        return TextQuality(self._characters, share, self._pages, without_text)

    def page(self, locator: str, *, of: int = 0) -> None:
        """Start the section of a page, of this number of pages; a page without text counts in the quality.

        The headings go on: text below a heading may fill several pages.
        """
        self._end_page()
        headings = self._headings
        self.section(locator)
        self._headings = headings
        self._locator = self._path()
        self._all_pages = of
        self._pages = (self._pages or 0) + 1
        self._in_page = True
        self._page_sections = self._sections
        self._is_scan = False

    def has_no_text(self) -> None:
        """Count the current page as one without text, whatever is written for it, such as the stamp on a scan."""
        self._is_scan = True

    def _end_page(self) -> None:
        if self._in_page:
            self.flush()
            self._in_page = False
            self._pages_without_text += self._is_scan or self._sections == self._page_sections
            # The parent has them if a limit ends this process.
            self._send(PagesRead(self._pages or 0, self._all_pages, self._pages_without_text))

    def finish(self) -> None:
        """Send the rest of the text, and warn of pages without text and of odd characters.

        Raises :class:`~rag_pipeline.errors.UnreadableTextError` if more than a fifth of the characters are odd.
        """
        self._end_page()
        self.flush()
        quality = self.quality
        if quality.pages and self._pages_without_text and self._sections:
            pages = f"{self._pages_without_text} of {quality.pages} pages"
            verb = "has" if quality.pages == 1 else "have"
            self.warn("pages_without_text", f"{pages} {verb} no text (scanned?)", self._pages_without_text)
        check_legible(quality.odd_characters)
        if self._undecoded:
            self.warn("letters_not_decoded", "letters could not be decoded (font without Unicode map)", self._undecoded)
        others = self._odd + self._unwritten - self._undecoded
        if others > _WARNED_ODD_SHARE * self._characters:
            self.warn("odd_characters", "some characters could not be decoded", others)
        self._send_sums()

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
        self._locator = self._path()
        self._append(title + "\n")

    def _path(self) -> str:
        return " › ".join(filter(None, [self._base_locator, *(text for _, text in self._headings)]))

    def write(self, text: str) -> None:
        """Add text to the section."""
        if self._only_headings and not text.isspace() and text:
            self._only_headings = False
        self._append(text)

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        self._pending += len(text)
        if not text.isspace():
            self.length += len(text)
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
        odd = count_odd(text)
        text = clean(text).strip("\n")
        if not text.strip():
            return
        self._odd += odd
        self._characters += len(text)
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

    def warn(self, kind: str, message: str, count: int = 1) -> None:
        """Report a fault of the text: a fixed type such as ``missing_part``, a sentence, and the number of cases.

        Equal warnings are summed up. Only the first 20 different ones are kept.
        """
        key = (kind, clean(message)[:300])
        if key in self._warnings:
            self._warnings[key] += count
            self._repeated.add(key)
        elif len(self._warnings) < _MAX_WARNINGS:
            self._warnings[key] = count
            self._send(Warned(*key, count))  # at once: a time limit may end the reading

    def _send_sums(self) -> None:
        for key in sorted(self._repeated):
            self._send(Warned(*key, self._warnings[key]))
        self._repeated.clear()

    def undecoded(self, letters: int, *, unwritten: int = 0) -> None:
        """Count letters of fonts without a Unicode map: U+FFFD in the text, or ``unwritten``, left out of it."""
        self._undecoded += letters
        self._unwritten += unwritten

    def describe(self, key: str, value: str) -> None:
        """Keep what the file says about itself, such as its ``title``; at most 50 keys of 500 characters."""
        value = clean(value).strip()[:_METADATA_CHARACTERS]
        if value and (key in self.metadata or len(self.metadata) < _MAX_METADATA):
            self.metadata[clean(key)[:64]] = value
