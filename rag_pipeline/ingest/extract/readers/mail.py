"""Read e-mail (eml): the common headers, then the body."""

from __future__ import annotations

from email.header import decode_header, make_header
from email.message import MIMEPart
from email.parser import BytesParser
from email.policy import Compat32
from typing import cast

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.html import HtmlText
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_MAX_HEADER_CHARACTERS = 8192


class _UnparsedHeaders(Compat32):
    """Returns headers unparsed and cut: the library parses them in quadratic time, and worse in its newer policies."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002
        return value[:_MAX_HEADER_CHARACTERS]


class _MailPart(MIMEPart):
    def is_attachment(self) -> bool:
        return self.get_content_disposition() == "attachment"


def read_mail(file: InputFile, writer: SectionWriter) -> None:
    """Read a message; its locator is ``message``. Attachments are listed by name, not read."""
    message = cast(_MailPart, BytesParser(_MailPart, policy=_UnparsedHeaders()).parse(file.stream))
    if not message.keys():
        raise CorruptFileError("it has no headers")
    if message.get_content_type() in _ENCRYPTED:
        raise EncryptedFileError("is an encrypted message")
    writer.section("message")
    for name in _HEADERS:
        if value := _decoded(message.get(name, "")):
            writer.write(f"{name}: {value}\n")
    writer.write("\n")
    body = message.get_body(("plain", "html"))
    if isinstance(body, MIMEPart):
        _write_body(body, writer)
    for attachment in message.iter_attachments():
        if filename := attachment.get_filename():
            writer.write(f"\nAttachment: {_decoded(filename)}")


def _decoded(value: str) -> str:
    """Return a header on one line, with its encoded words decoded."""
    line = " ".join(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())
    try:
        return str(make_header(decode_header(line)))
    except (LookupError, ValueError):  # an unknown encoding, or a malformed word
        return line


def _write_body(body: MIMEPart, writer: SectionWriter) -> None:
    payload = body.get_payload(decode=True)
    assert isinstance(payload, bytes)
    try:
        text = payload.decode(body.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):  # an unknown encoding
        text = payload.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n")
    if body.get_content_type() == "text/html":
        parser = HtmlText(writer)
        parser.feed(text)
        parser.close()
    else:
        writer.write(text)
