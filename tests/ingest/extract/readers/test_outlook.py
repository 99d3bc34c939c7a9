"""Outlook messages."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress

import pytest

from rag_pipeline.errors import CorruptFileError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.readers.outlook import read_outlook
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from tests.ingest.extract.makers import input_file, read, read_messages
from tests.ingest.extract.ole_maker import make_container
from tests.ingest.extract.test_rtf_compression import SIMPLE

SENT = 133_590_384_000_000_000  # 2024-05-01 12:00 in ticks since 1601
Property = str | bytes


def properties(values: Mapping[int, Property], *, is_top: bool = True, codepage: int = 1252) -> dict[str, bytes]:
    fixed = struct.pack("<IIq", 0x00390040, 6, SENT) + struct.pack("<IIq", 0x3FFD0003, 6, codepage)
    streams = {"__properties_version1.0": bytes(32 if is_top else 24) + fixed}
    for number, value in values.items():
        kind = 0x001F if isinstance(value, str) else 0x0102 if number in (0x1013, 0x1009) else 0x001E
        streams[f"__substg1.0_{number:04X}{kind:04X}"] = value.encode("utf-16-le") if isinstance(value, str) else value
    return streams


def inside(folder: str, streams: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in streams.items()}


MAIL: dict[int, Property] = {
    0x0037: "Offer", 0x0C1A: "Edda Holm", 0x0C1F: "e@example.org", 0x0E04: "Bob; Cid",
    0x1000: "The fee is 90 euros.\r\n",
}  # fmt: skip


def test_headers_body_and_attachments_are_read() -> None:
    inner = properties({0x0037: "Inner", 0x1000: "Inside."}, is_top=False)
    data = make_container(
        properties(MAIL)
        | inside("__attach_version1.0_#00000000", properties({0x3707: "plan.pdf"}, is_top=False))
        | inside("__attach_version1.0_#00000001/__substg1.0_3701000D", inner)
    )
    assert (
        read(data, "a.msg")
        == read(data)
        == [
            (
                "message",
                (
                    "Subject: Offer\nFrom: Edda Holm <e@example.org>\nTo: Bob; Cid\nDate: 2024-05-01 12:00 UTC\n\n"
                    "The fee is 90 euros.\n\nAttachment: plan.pdf\n\nForwarded message:\nSubject: Inner\n"
                    "Date: 2024-05-01 12:00 UTC\n\nInside."
                ),
            )
        ]
    )


def test_strings_of_a_code_page_are_decoded() -> None:
    data = make_container(properties({0x0037: "Возврат денег".encode("cp1251"), 0x1000: b"x"}, codepage=1251))
    assert "Subject: Возврат денег" in read(data)[0][1]


def test_html_and_rtf_bodies_are_read() -> None:
    page = '<meta charset="windows-1252"><p>Grüße aus Köln</p>'.encode("cp1252")
    assert "Grüße aus Köln" in read(make_container(properties({0x1013: page})))[0][1]
    sections = read(make_container(properties({0x0037: "x", 0x1009: SIMPLE})))
    assert "hello world" in "\n".join(text for _, text in sections)


def test_damaged_containers_are_errors() -> None:
    data = make_container(properties(MAIL))
    for cut in range(2000, len(data), 3001):
        with suppress(CorruptFileError, UnsupportedFileTypeError, OSError):
            read_messages(data[:cut], "a.msg")
    with pytest.raises(CorruptFileError, match="can't be opened"):
        read_outlook(input_file(data[:600]), SectionWriter(lambda _: None, text_bytes=100))
