"""Archives with wrong sizes, zip bombs and encrypted members."""

from __future__ import annotations

import struct
import zipfile

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.limits import KIB, MIB, ExtractionLimits
from rag_pipeline.ingest.extract.zip_archive import ZipArchive
from tests.ingest.extract.makers import input_file, make_zip


def archive(data: bytes, limits: ExtractionLimits | None = None) -> ZipArchive:
    return ZipArchive(input_file(data, "a.docx", limits))


def with_declared_size(data: bytes, size: int) -> bytes:
    """Return an archive of one file that declares another unpacked size."""
    entry = data.index(b"PK\x01\x02")
    return data[: entry + 24] + struct.pack("<I", size) + data[entry + 28 :]


def test_members_are_read() -> None:
    opened = archive(make_zip({"a": "text", "b/c": "more"}))
    assert (opened.read("a"), opened.read("b/c"), opened.size("a"), opened.size("x")) == (b"text", b"more", 4, 0)
    with pytest.raises(CorruptFileError, match="part x is missing"):
        opened.read("x")


def test_names_are_resolved_in_any_case_and_encoding() -> None:
    opened = archive(make_zip({"word\\Document.xml": "a", "/xl/my sheet.xml": "b"}))
    assert opened.resolve("word/document.xml") == "word/Document.xml"
    assert opened.resolve("xl/my%20sheet.xml") == "xl/my sheet.xml"
    assert opened.resolve("missing") == "missing"
    assert opened.read("word/Document.xml") == b"a"


def test_a_declared_bomb_is_refused_before_unpacking() -> None:
    data = with_declared_size(make_zip({"a": "text"}), 3 * 1024 * MIB)
    with pytest.raises(ExtractionLimitError, match="unpacks to 3,221,225,472 bytes"):
        archive(data)


def test_a_member_gives_no_more_than_its_declared_size() -> None:
    data = with_declared_size(make_zip({"a": bytes(MIB)}), 1000)
    with pytest.raises(CorruptFileError, match="CRC"):
        archive(data).read("a")


def test_reading_a_member_repeatedly_counts_each_time() -> None:
    opened = archive(make_zip({"a": bytes(MIB)}), ExtractionLimits(unpacked_bytes=2 * MIB))
    opened.read("a")
    opened.read("a")
    with pytest.raises(ExtractionLimitError, match="more than 2,097,152 bytes"):
        opened.read("a")


def test_the_expansion_of_a_member_is_limited() -> None:
    opened = archive(make_zip({"a": bytes(17 * MIB)}))
    part = opened.open("a")
    with pytest.raises(ExtractionLimitError, match="200 times its size"):
        list(iter(lambda: part.read(64 * KIB), b""))
    with pytest.raises(ExtractionLimitError, match="unpacks to more than 1,000 bytes"):
        archive(make_zip({"a": bytes(2000)})).read("a", 1000)


def test_the_number_of_members_is_limited() -> None:
    data = make_zip({f"{number}": b"" for number in range(11)})
    with pytest.raises(ExtractionLimitError, match="holds 11 files"):
        archive(data, ExtractionLimits(archive_entries=10))


def test_stored_media_does_not_count_as_unpacked() -> None:
    data = make_zip({"film": bytes(2 * MIB)})
    padded = bytes(2 * MIB) + data  # a large file that declares no more than its own size
    assert archive(padded, ExtractionLimits(unpacked_bytes=MIB)).size("film") == 2 * MIB


def test_an_encrypted_member_needs_a_password() -> None:
    data = bytearray(make_zip({"a": "text"}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    with pytest.raises(EncryptedFileError):
        archive(bytes(data)).read("a")


@pytest.mark.parametrize("cut", [1, 10, 40, 100])
def test_a_truncated_archive_is_damaged(cut: int) -> None:
    with pytest.raises(CorruptFileError):
        archive(make_zip({"a": "text" * 100})[:-cut])


def test_an_archive_with_damaged_content_is_damaged() -> None:
    data = bytearray(make_zip({"a": "text" * 100}))
    data[35] ^= 0xFF
    with pytest.raises(CorruptFileError):
        archive(bytes(data)).read("a")
    assert zipfile.ZIP_DEFLATED == 8
    data = bytearray(make_zip({"a": "text" * 100}))
    data[data.index(b"PK\x01\x02") + 10] = data[8] = 99
    with pytest.raises(CorruptFileError, match="can't be read"):
        archive(bytes(data)).read("a")
