"""Build a document from a worker's messages: the whole one, or what arrived before a limit ended the reading."""

from __future__ import annotations

from rag_pipeline.ingest.extract.clean_text import count_odd
from rag_pipeline.ingest.extract.messages import (
    Finished,
    PagesRead,
    SectionFound,
    TypeFound,
    Warned,
    WorkerMessage,
)
from rag_pipeline.ingest.extract.section_writer import check_legible
from rag_pipeline.ingest.types import ExtractedDocument, Section, TextQuality, TextWarning

_MAX_WARNINGS = 20


class DocumentBuilder:
    """Gathers sections, warnings and counts of pages. A worker may be malicious, so all of it is bounded."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self._sections: list[Section] = []
        self._warnings: dict[tuple[str, str], int] = {}
        self._mime_type = ""
        self._pages = PagesRead(0, 0, 0)

    @property
    def is_empty(self) -> bool:
        """Whether no text has arrived."""
        return not self._sections

    def add(self, message: WorkerMessage) -> None:
        """Take in a message; those that are not about the text are ignored."""
        match message:
            case TypeFound(mime_type):
                self._mime_type = mime_type
            case SectionFound(locator, text):
                self._sections.append(Section(text, locator))
                self.text_bytes += len(text)
            case PagesRead():
                self._pages = message
            case Warned():
                self._warn(message.type[:64], message.message[:300], message.count)

    def _warn(self, kind: str, text: str, count: int) -> None:
        if (kind, text) in self._warnings or len(self._warnings) < _MAX_WARNINGS:
            self._warnings[kind, text] = count

    def whole(self, end: Finished) -> ExtractedDocument:
        """Return the document of a file that was read to its end."""
        quality = TextQuality(end.characters, end.odd_characters, end.pages, end.pages_without_text)
        return ExtractedDocument(tuple(self._sections), end.mime_type, self._text_warnings(), quality, end.metadata)

    def part(self, kind: str, limit: str) -> ExtractedDocument:
        """Return the document of a file whose reading a limit ended, with a warning of this type that names the limit.

        Raises :class:`~rag_pipeline.errors.UnreadableTextError` if the part is garbage.
        """
        characters = sum(len(section.text) for section in self._sections)
        odd = sum(count_odd(section.text) for section in self._sections) / max(1, characters)
        check_legible(odd)
        pages = self._pages
        if pages.all_pages:
            text = f"only the first {pages.pages:,} of {pages.all_pages:,} pages were read within {limit}"
        else:
            text = f"only the first {characters:,} characters were read within {limit}"
        self._warnings = dict(list(self._warnings.items())[: _MAX_WARNINGS - 1])
        self._warn(kind, text, max(1, pages.all_pages - pages.pages))
        quality = TextQuality(characters, round(odd, 4))
        if pages.all_pages:
            quality = TextQuality(characters, round(odd, 4), pages.pages, pages.without_text)
        return ExtractedDocument(tuple(self._sections), self._mime_type, self._text_warnings(), quality)

    def _text_warnings(self) -> tuple[TextWarning, ...]:
        return tuple(TextWarning(kind, text, count) for (kind, text), count in self._warnings.items())
