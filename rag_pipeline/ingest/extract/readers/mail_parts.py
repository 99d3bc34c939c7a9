"""Write a mail: its headers, its text parts in order, forwarded mails, invitations, names of attachments."""

from __future__ import annotations

from contextlib import suppress
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import Compat32
from typing import cast

from rag_pipeline.errors import EncryptedFileError
from rag_pipeline.ingest.extract.charset import decode_text
from rag_pipeline.ingest.extract.html_tree import parse_html
from rag_pipeline.ingest.extract.mail_headers import MAX_HEADER_CHARACTERS, decode_header_text, mend_head
from rag_pipeline.ingest.extract.readers.calendar import write_invitation
from rag_pipeline.ingest.extract.readers.html import declared_charset, write_fragment, write_page
from rag_pipeline.ingest.extract.section_writer import SectionWriter

HEADERS = ("Subject", "From", "To", "Cc", "Date")
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
_NOT_READ = frozenset({"text/css", "text/javascript", "text/x-amp-html"})
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

    def message(self, message: MIMEPart, depth: int = 0) -> None:
        """Write a mail with its headers."""
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
        elif kind == "message/rfc822":
            for forwarded in _parts(part):
                self._writer.write("\nForwarded message:\n")
                self.message(forwarded, depth + 1)
        elif kind == "multipart/alternative":
            self._alternatives(part, depth)
        elif parts := _parts(part):
            shown = parts[:1] if kind == "multipart/related" else parts
            for inner in shown:
                self._part(inner, depth + 1)
            for inner in parts[len(shown) :]:
                self._name(inner)
        else:
            self._leaf(part, kind)

    def _alternatives(self, part: MIMEPart, depth: int) -> None:
        """Write the best of several forms of a text, and invitations."""
        plain = html = ""
        others: list[MIMEPart] = []
        for inner in _parts(part):
            leaf = _first_leaf(inner)
            kind = leaf.get_content_type()
            if kind == "text/plain" and not plain:
                plain = _text(leaf)
            elif kind == "text/html":
                html = _text(leaf)
            else:
                others.append(inner)
            if leaf is not inner:
                for resource in inner.walk():
                    self._name(resource)
        if plain or html:
            write_alternatives(plain, html, self._writer)
        for inner in others:
            self._part(inner, depth + 1)

    def _leaf(self, part: MIMEPart, kind: str) -> None:
        """Write a part that holds no others."""
        is_attached = part.get_content_disposition() == "attachment"
        if kind == "text/calendar" and not is_attached:
            write_invitation(_text(part), self._writer)
        elif kind == "text/html" and not is_attached:
            # A saved page says where it came from; a mail does not.
            (write_page if "content-location" in part else write_fragment)(_text(part), self._writer)
        elif kind.startswith(("text/", "message/", "multipart/")) and not is_attached and kind not in _NOT_READ:
            self._writer.write(_text(part).strip("\r\n") + "\n\n")
        self._name(part)

    def _name(self, part: MIMEPart) -> None:
        """Write the name of an attachment."""
        with suppress(LookupError, ValueError, TypeError):
            if name := part.get_filename():
                self._writer.write(f"\nAttachment: {decode_header_text(name)}\n")


def _parts(part: MIMEPart) -> list[MIMEPart]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, MIMEPart)] if isinstance(payload, list) else []


def _first_leaf(part: MIMEPart) -> MIMEPart:
    """Return the text of a part: of a page with its pictures, the page."""
    for _ in range(_MAX_DEPTH):
        inner = _parts(part)
        if not inner or part.get_content_type() == "message/rfc822":
            break
        part = inner[0]
    return part


def _text(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = None
    with suppress(LookupError, ValueError, TypeError):
        charset = part.get_content_charset()
    if charset and charset.startswith(("utf-16", "utf-32")):
        with suppress(LookupError):
            return payload.decode(charset, "replace")
    if charset is None and part.get_content_type() == "text/html":
        charset = declared_charset(payload[:4096])
    return decode_text(payload, charset)
