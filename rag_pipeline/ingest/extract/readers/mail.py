"""Read e-mail: single mails (eml, emlx, mhtml) and mailboxes (mbox)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.mail_headers import MBOX_LINE, is_header, looks_like_mail
from rag_pipeline.ingest.extract.readers.mail_parts import (
    MailWriter,
    describe_mail,
    headers_of,
    is_encrypted,
    parse_message,
)
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.unicode_forms import unicode_codec

_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)
_BYTE_COUNT = re.compile(rb"[0-9]{1,12}[ \t]*+\r?\n")


def read_mail(file: InputFile, writer: SectionWriter) -> None:
    """Read a mail; its locator is ``message``. Attached text is read, other attachments are listed by name."""
    data = _bytes(file, writer)
    message = parse_message(data)
    if not message.keys():
        raise CorruptFileError("it has no headers")
    writer.section("message")
    headers = headers_of(message)
    describe_mail(headers, writer)
    MailWriter(writer).message(message)


def read_mailbox(file: InputFile, writer: SectionWriter) -> None:
    """Read a mailbox; each mail is a section, ``message 1`` and so on."""
    file.stream.seek(0)
    for number, (data, end) in enumerate(_split(file.stream), start=1):
        writer.section(f"message {number}")
        message = parse_message(data)
        if is_encrypted(message):
            writer.warn("encrypted_part", "an encrypted message was left out")
        elif message.keys():
            MailWriter(writer).message(message)
        writer.progress(end / file.size)


def _split(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the mails of a mailbox, and where each ends."""
    lines: list[bytes] = []
    end = 0
    separator = b""
    for line in stream:
        if separator and not is_header(line):
            lines.append(separator)  # a line of text that looks like one
        elif separator and lines:
            yield _QUOTED_FROM.sub(rb"\1", b"".join(lines)), end - len(separator)
            lines = []
        separator = line if MBOX_LINE.match(line) else b""
        if not separator:
            lines.append(line)
        end += len(line)
    if lines:
        yield _QUOTED_FROM.sub(rb"\1", b"".join(lines)), end


def _bytes(file: InputFile, writer: SectionWriter) -> bytes:
    """Return the mail as bytes, without what some programs put around it."""
    head = file.read_at(0, 4096)
    if unicode_codec(head):
        return open_text(file, writer).read().encode("utf-8", "replace")
    file.stream.seek(0)
    data = file.stream.read()
    count = _BYTE_COUNT.match(data)
    if count and looks_like_mail(data[count.end() : count.end() + 4096]):  # Apple Mail
        data = data[count.end() : count.end() + int(count[0])]
    return data.lstrip(b"\r\n")
