"""Read Outlook messages (msg): the properties of a mail in an OLE container."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_pipeline.errors import CorruptFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.charset import decode_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.html import declared_charset
from rag_pipeline.ingest.extract.readers.mail_parts import describe_mail, write_alternatives, write_headers
from rag_pipeline.ingest.extract.readers.rtf import read_rtf
from rag_pipeline.ingest.extract.rtf_compression import decompress
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_SUBJECT, _BODY, _HTML, _RTF, _SENT, _DELIVERED = 0x0037, 0x1000, 0x1013, 0x1009, 0x0039, 0x0E06
_SENDER_NAME, _SENDER_SMTP, _SENDER_ADDRESS, _TO, _CC = 0x0C1A, 0x5D01, 0x0C1F, 0x0E04, 0x0E03
_CODEPAGES = (0x3FFD, 0x3FDE)  # of the message's strings, of its HTML
_FILE_NAMES = (0x3707, 0x3704, 0x3001)
_UNICODE, _STRING, _BINARY = 0x001F, 0x001E, 0x0102
_EMBEDDED = "__substg1.0_3701000D"
_HEADER_BYTES = {True: 32, False: 24}
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_MAX_DEPTH, _MAX_ATTACHMENTS = 20, 1000
_BODY_BYTES = 1 << 26


class _Storage:
    """A message, or an attachment of one: the properties in a folder of the container."""

    def __init__(self, container: Any, path: Sequence[str], *, is_top: bool) -> None:
        self._container = container
        self.path = list(path)
        self._fixed = self._fixed_properties(_HEADER_BYTES[is_top])
        page = self._codepage(_CODEPAGES[0]) or self._codepage(_CODEPAGES[1])
        self._charset = page
        self.html_charset = self._codepage(_CODEPAGES[1])

    def _fixed_properties(self, header: int) -> dict[int, bytes]:
        data = self._stream("__properties_version1.0") or b""
        return {
            struct.unpack_from("<I", data, at)[0] >> 16: data[at + 8 : at + 16]
            for at in range(header, len(data) - 15, 16)
        }

    def _codepage(self, property_id: int) -> str | None:
        value = self._fixed.get(property_id)
        number = struct.unpack_from("<i", value)[0] if value else 0
        return {0: None, 65001: "utf-8", 20127: "us-ascii", 1200: None}.get(number, f"windows-{number}")

    def _stream(self, name: str) -> bytes | None:
        path = [*self.path, name]
        if not self._container.exists(path):
            return None
        with self._container.openstream(path) as stream:
            data: bytes = stream.read(_BODY_BYTES + 1)
        if len(data) > _BODY_BYTES:
            raise ExtractionLimitError(f"has a body of more than {_BODY_BYTES:,} bytes")
        return data

    def binary(self, property_id: int) -> bytes:
        """Return a property of bytes; none if it is missing."""
        return self._stream(f"__substg1.0_{property_id:04X}{_BINARY:04X}") or b""

    def text(self, *property_ids: int) -> str:
        """Return the first of the properties that has text."""
        for property_id in property_ids:
            data = self._stream(f"__substg1.0_{property_id:04X}{_UNICODE:04X}")
            text = data.decode("utf-16-le", "replace") if data else ""
            if not text and (data := self._stream(f"__substg1.0_{property_id:04X}{_STRING:04X}")):
                text = decode_text(data, self._charset)
            if text := text.strip("\x00"):
                return text
        return ""

    def time(self, *property_ids: int) -> str:
        """Return the first of the times that is set."""
        for property_id in property_ids:
            ticks = int.from_bytes(self._fixed.get(property_id, b""), "little")
            if 0 < ticks < 1 << 60:
                return (_EPOCH + timedelta(microseconds=ticks // 10)).strftime("%Y-%m-%d %H:%M UTC")
        return ""

    def folders(self, prefix: str) -> list[str]:
        """Return the folders in it whose names begin with the prefix."""
        names = {
            path[len(self.path)]
            for path in self._container.listdir(streams=True, storages=True)
            if len(path) > len(self.path) and path[: len(self.path)] == self.path
        }
        return sorted(name for name in names if name.startswith(prefix))[:_MAX_ATTACHMENTS]


def read_outlook(file: InputFile, writer: SectionWriter) -> None:
    """Read an Outlook message; its locator is ``message``. Attachments are listed by name; attached mails are read."""
    import olefile

    file.stream.seek(0)
    try:
        container = olefile.OleFileIO(file.stream)
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise CorruptFileError(f"its container can't be opened ({error})") from error
    message = _Storage(container, (), is_top=True)
    writer.section("message")
    describe_mail(_headers(message), writer)
    _write(container, message, writer, file, 0)


def _headers(message: _Storage) -> dict[str, str]:
    name, address = message.text(_SENDER_NAME), message.text(_SENDER_SMTP, _SENDER_ADDRESS)
    sender = f"{name} <{address}>" if name and "@" in address and name != address else name or address
    return {
        "Subject": message.text(_SUBJECT),
        "From": sender,
        "To": message.text(_TO),
        "Cc": message.text(_CC),
        "Date": message.time(_SENT, _DELIVERED),
    }


def _write(container: Any, message: _Storage, writer: SectionWriter, file: InputFile, depth: int) -> None:
    write_headers(_headers(message), writer)
    plain, html = message.text(_BODY), message.binary(_HTML)
    page = decode_text(html, declared_charset(html[:4096]) or message.html_charset) if html else message.text(_HTML)
    if plain or page:
        write_alternatives(plain, page, writer)
    elif packed := message.binary(_RTF):
        data = decompress(packed)
        read_rtf(InputFile(io.BytesIO(data), len(data), "body.rtf", file.limits), writer)
    for name in message.folders("__attach_version1.0_#"):
        path = [*message.path, name]
        if container.exists([*path, _EMBEDDED]):
            if depth >= _MAX_DEPTH:
                writer.warn("nested_too_deeply", "mails inside mails were left out")
                continue
            writer.write("\nForwarded message:\n")
            _write(container, _Storage(container, [*path, _EMBEDDED], is_top=False), writer, file, depth + 1)
        elif shown := _Storage(container, path, is_top=False).text(*_FILE_NAMES):
            writer.write(f"\nAttachment: {shown}\n")
