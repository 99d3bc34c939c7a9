"""Presentations of the format before 2007."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_ole_file, read, warnings
from tests.ingest.extract.readers.test_powerpoint_records import directory, edit, record


def box(kind: int, text: str, top: int) -> bytes:
    anchor = record(0xF010, struct.pack("<4h", top, 0, 100, top + 50))
    atoms = record(3999, struct.pack("<I", kind)) + record(4000, text.encode("utf-16-le"))
    return record(0xF004, anchor + record(0xF00D, atoms, container=True), container=True)


def placeholder(index: int, top: int) -> bytes:
    anchor = record(0xF010, struct.pack("<4i", top, 0, 100, top + 50))
    return record(
        0xF004, anchor + record(0xF00D, record(3998, struct.pack("<I", index)), container=True), container=True
    )


def slide(*shapes: bytes, notes: int = 0, hidden: bool = False, kind: int = 1006) -> bytes:
    atom = record(1007, bytes(16) + struct.pack("<I", notes) + bytes(4))
    info = record(1017, bytes(10) + (b"\x04" if hidden else b"\0") + bytes(5))
    drawing = record(1036, record(0xF003, b"".join(shapes), container=True), container=True)
    return record(kind, atom + info + drawing, container=True)


def persist(reference: int, identifier: int, *texts: tuple[int, str]) -> bytes:
    atoms = b"".join(record(3999, struct.pack("<I", kind)) + record(4008, text.encode()) for kind, text in texts)
    return record(1011, struct.pack("<IIIII", reference, 0, 0, identifier, 0)) + atoms


def comment(author: str, text: str) -> bytes:
    strings = [record(4026, value.encode("utf-16-le"), instance=at) for at, value in enumerate((author, text))]
    return record(5003, record(12000, b"".join(strings), container=True))


def presentation(*, token: int = 0) -> bytes:
    slides = persist(2, 256, (0, "Quay plan"), (1, "first\rsecond\vline")) + persist(3, 257) + persist(9, 258)
    lists = record(4080, slides, container=True) + record(4080, persist(4, 500), instance=2, container=True)
    document = record(1000, lists, container=True)
    objects = [
        document,
        slide(box(4, "at the bottom", 400), placeholder(1, 100), placeholder(0, 0), comment("Ann", "Why?"), notes=500),
        slide(box(4, "secret", 0), hidden=True),
        slide(box(2, "mention the tide", 0), box(4, "*", 9), kind=1008),
    ]
    stream = bytes(8)
    places = []
    for content in objects:
        places.append(len(stream))
        stream += content
    listed = len(stream)
    stream += directory(1, *places)
    current = len(stream)
    stream += edit(0, listed)
    user = bytes(12) + struct.pack("<II", token, current)
    return make_ole_file({"PowerPoint Document": stream, "Current User": user})


def test_slides_are_read_in_order_with_notes_and_comments() -> None:
    data = presentation()
    assert read(data) == [
        (
            "slide 1 › Quay plan",
            "Quay plan\nfirst\nsecond\nline\nat the bottom\nComment by Ann: Why?\n\nmention the tide",
        )
    ]
    assert warnings(data) == ["hidden slides are left out", "slide 3 is missing from the file"]


def test_options() -> None:
    sections = read(presentation(), options=ReadOptions(hidden=True, comments=False))
    assert sections[1] == ("slide 2 (hidden)", "secret")
    assert "Why?" not in sections[0][1]


def test_what_is_not_read_is_named() -> None:
    with pytest.raises(EncryptedFileError):
        read(presentation(token=0xF3D1C4DF))
    with pytest.raises(UnsupportedFileTypeError, match="before 97"):
        read(make_ole_file({"PowerPoint Document": b""}))
    with pytest.raises(CorruptFileError, match="list of its slides"):
        read(make_ole_file({"PowerPoint Document": b"", "Current User": b""}))


@settings(max_examples=80, deadline=None)
@given(st.integers(1536, 2600), st.binary(min_size=1, max_size=8))
def test_damage_ends_in_an_error_of_extraction_at_most(place: int, junk: bytes) -> None:
    data = bytearray(presentation())
    data[place : place + len(junk)] = junk
    with suppress(ExtractionError):  # any other exception is a fault of the reader
        read(bytes(data))
