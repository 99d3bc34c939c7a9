"""Write a mail: its headers, its text parts in order, forwarded mails, invitations, names of attachments."""

from __future__ import annotations

from contextlib import suppress
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import Compat32
from typing import cast

from rag_pipeline.errors import EncryptedFileError
from rag_pipeline.ingest.extract.clean_text import count_odd
from rag_pipeline.ingest.extract.html_tree import parse_html
from rag_pipeline.ingest.extract.mail_headers import MAX_HEADER_CHARACTERS, decode_header_text, mend_head
from rag_pipeline.ingest.extract.readers.calendar import write_invitation
from rag_pipeline.ingest.extract.readers.html import write_fragment, write_page
from rag_pipeline.ingest.extract.readers.mail_payload import encoded_message, text_of, without_uuencoded
from rag_pipeline.ingest.extract.readers.mail_tree import (
    FORWARDED,
    is_unnamed,
    leaves_of,
    parts_of,
    root_of,
    shown_leaves,
)
from rag_pipeline.ingest.extract.section_writer import SectionWriter

HEADERS = ("Subject", "From", "To", "Cc", "Date")
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
_NOT_READ = frozenset({"text/css", "text/javascript", "text/x-amp-html"})
_ATTACHED_TEXT = frozenset({"text/plain", "text/markdown", "text/csv"})
_MAX_DEPTH = 50
_STUB_SHARE = 0.5


class _UnparsedHeaders(Compat32):
    """Returns headers unparsed and cut: the library parses them in quadratic time, and worse in its newer policies."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002
        return value[:MAX_HEADER_CHARACTERS]


def parse_message(data: bytes) -> MIMEPart:
    """Parse a mail, without the broken lines among its headers."""
    return cast(MIMEPart, BytesParser(MIMEPart, policy=_UnparsedHeaders()).parsebytes(mend_head(data)))


def is_encrypted(part: MIMEPart) -> bool:
    """Return whether a mail, or a part of it, is encrypted. A signed one is not."""
    return part.get_content_type() in _ENCRYPTED and "signed-data" not in str(part.get("Content-Type", ""))


def write_headers(headers: dict[str, str], writer: SectionWriter) -> None:
    """Write the common headers of a mail, and the blank line below them."""
    for name in HEADERS:
        if value := headers.get(name):
            writer.write(f"{name}: {value}\n")
    writer.write("\n")


def describe_mail(headers: dict[str, str], writer: SectionWriter) -> None:
    """Describe a file by the headers of its mail."""
    for name, key in (("Subject", "title"), ("From", "author"), ("Date", "date")):
        writer.describe(key, headers.get(name, ""))


def headers_of(message: MIMEPart) -> dict[str, str]:
    """Return the common headers of a mail, decoded."""
    return {name: decode_header_text(str(message.get(name, ""))) for name in HEADERS}


def write_alternatives(plain: str, html: str, writer: SectionWriter) -> None:
    """Write the plain form of a text, or the HTML where the plain one is a stub of it."""
    if html and _is_stub(plain, parse_html(html).text()):
        write_fragment(html, writer)
    else:
        writer.write(plain + "\n")


def _is_stub(plain: str, of_html: str) -> bool:
    """Return whether the plain form lacks most words of the HTML form: a preview, or "your program shows no HTML"."""
    words = set(of_html.split())
    return len(words & set(plain.split())) < _STUB_SHARE * len(words)


class MailWriter:
    """Writes the parts of mails."""

    def __init__(self, writer: SectionWriter) -> None:
        self._writer = writer
        self._has_text = False

    def message(self, message: MIMEPart) -> None:
        """Write a mail with its headers."""
        self._has_text = False
        self._message(message, 0)
        if not self._has_text and any(is_unnamed(leaf) for leaf in leaves_of(message)):
            self._writer.warn("empty_body", "the body of the message has no text")

    def _message(self, message: MIMEPart, depth: int) -> None:
        write_headers(headers_of(message), self._writer)
        self._part(message, depth)

    def _part(self, part: MIMEPart, depth: int) -> None:
        kind = part.get_content_type()
        if depth > _MAX_DEPTH:
            self._writer.warn("nested_too_deeply", "mails inside mails were left out")
        elif is_encrypted(part):
            if depth == 0:
                raise EncryptedFileError("is an encrypted message")
            self._writer.warn("encrypted_part", "an encrypted part of the message was left out")
        elif kind in FORWARDED:
            self._forwarded(part, depth)
        elif kind == "multipart/alternative":
            self._alternatives(part, depth)
        elif kind == "multipart/related" and parts_of(part):
            self._related(part, depth)
        elif parts := parts_of(part):
            for inner in parts:
                self._part(inner, depth + 1)
        else:
            self._leaf(part, kind)

    def _forwarded(self, part: MIMEPart, depth: int) -> None:
        for forwarded in parts_of(part):
            self._writer.write("\nForwarded message:\n")
            self._has_text = True
            data = encoded_message(part, forwarded)
            self._message(parse_message(data) if data else forwarded, depth + 1)

    def _related(self, part: MIMEPart, depth: int) -> None:
        """Write a page, the frames of a saved page, and the names of pictures."""
        root = root_of(part)
        self._part(root, depth + 1)
        for inner in parts_of(part):
            kind = inner.get_content_type()
            is_text = kind == "text/html" or (kind == "text/plain" and "content-location" not in inner)
            if inner is root:
                continue
            if is_text or inner.is_multipart():
                self._part(inner, depth + 1)
            else:
                self._name(inner)

    def _alternatives(self, part: MIMEPart, depth: int) -> None:
        """Write the best of several forms of a text, and invitations."""
        plain: MIMEPart | None = None
        page: MIMEPart | None = None
        others: list[MIMEPart] = []
        for inner in parts_of(part):
            kinds = {leaf.get_content_type() for leaf in shown_leaves(inner)}
            if "text/html" in kinds:
                page = inner
            elif "text/plain" in kinds and plain is None:
                plain = inner
            else:
                others.append(inner)
        best = page if plain is None or (page is not None and _lacks_text(plain, page)) else plain
        for form in (plain, page):
            if form is not None and form is best:
                self._part(form, depth + 1)
            elif form is not None:
                self._rest(form, depth + 1)
        for inner in others:
            self._part(inner, depth + 1)

    def _rest(self, part: MIMEPart, depth: int) -> None:
        """Write what a form of a text has beside the text."""
        for leaf in leaves_of(part):
            if leaf.get_content_type() in FORWARDED:
                self._part(leaf, depth)
            else:
                self._name(leaf)

    def _leaf(self, part: MIMEPart, kind: str) -> None:
        """Write a part that holds no others."""
        if part.get_content_disposition() == "attachment":
            self._attachment(part, kind)
            return
        before = self._writer.length
        if kind == "text/calendar":
            write_invitation(text_of(part), self._writer)
        elif kind == "text/html":
            # A saved page says where it came from; a mail does not.
            (write_page if "content-location" in part else write_fragment)(text_of(part), self._writer)
        elif kind.startswith(("text/", "message/", "multipart/")) and kind not in _NOT_READ:
            self._plain(text_of(part))
        self._has_text = self._has_text or self._writer.length > before
        self._name(part)

    def _attachment(self, part: MIMEPart, kind: str) -> None:
        """Write the name of an attachment, and its text if it is plain text or a page."""
        self._name(part)
        if kind == "text/html":
            write_fragment(text_of(part), self._writer)
        elif kind in _ATTACHED_TEXT and count_odd(text := text_of(part)) * 100 <= len(text):
            self._plain(text)

    def _plain(self, text: str) -> None:
        text, names = without_uuencoded(text)
        self._writer.write(text.strip("\r\n") + "\n\n")
        for name in names:
            self._writer.write(f"\nAttachment: {name}\n")

    def _name(self, part: MIMEPart) -> None:
        """Write the name of an attachment."""
        with suppress(LookupError, ValueError, TypeError):
            if name := part.get_filename():
                self._writer.write(f"\nAttachment: {decode_header_text(name)}\n")


def _lacks_text(plain: MIMEPart, page: MIMEPart) -> bool:
    """Return whether the plain form is a stub of one of the texts of the other form."""
    words = " ".join(text_of(leaf) for leaf in shown_leaves(plain))
    texts = ((leaf.get_content_type() == "text/html", text_of(leaf)) for leaf in shown_leaves(page))
    return any(_is_stub(words, parse_html(text).text() if is_html else text) for is_html, text in texts)
