"""E-mail (eml): the headers people read, then the message."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.output import Output
from rag_pipeline.ingest.extract.readers.html import HtmlText
from rag_pipeline.ingest.extract.source import Source

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def read_mail(source: Source, output: Output) -> None:
    """Read a message; its place is ``message``. Attachments are named, not read."""
    message = BytesParser(EmailMessage, policy=policy.default).parse(source.stream)
    if not message.keys():
        raise CorruptFileError("it has no headers")
    if message.get_content_type() in _ENCRYPTED:
        raise EncryptedFileError("is an encrypted message")
    output.section("message")
    for name in _HEADERS:
        if value := str(message.get(name, "")):
            output.write(f"{name}: {value}\n")
    output.write("\n")
    body = message.get_body(("plain", "html"))
    if body is not None:
        _write_body(body, output)
    for attachment in message.iter_attachments():
        if filename := attachment.get_filename():
            output.write(f"\nAttachment: {filename}")


def _write_body(body: MIMEPart, output: Output) -> None:
    try:
        text = body.get_content()
    except (LookupError, KeyError):  # an encoding nobody knows
        text = (body.get_payload(decode=True) or b"").decode("utf-8", "replace")  # type: ignore[union-attr]
    if body.get_content_type() == "text/html":
        parser = HtmlText(output)
        parser.feed(text)
        parser.close()
    else:
        output.write(text)
