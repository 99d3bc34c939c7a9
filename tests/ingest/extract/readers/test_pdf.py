"""PDF files."""

from __future__ import annotations

import io
import zlib

import pytest
from pypdf import PdfReader, PdfWriter

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionLimitError
from tests.ingest.extract.makers import make_pdf, read, warnings


def encrypted(password: str, algorithm: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf(1))))
    writer.encrypt(password, owner_password="owner", algorithm=algorithm)
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def test_locators_are_pages() -> None:
    sections = read(make_pdf(3))
    assert [locator for locator, _ in sections] == ["page 1", "page 2", "page 3"]
    assert sections[1][1].startswith("Line 0 of page 2, with words in it\nLine 1")


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_password_is_needed_only_if_one_is_set(algorithm: str) -> None:
    assert read(encrypted("", algorithm))
    with pytest.raises(EncryptedFileError):
        read(encrypted("secret", algorithm))


@pytest.mark.parametrize("encoding", [b"ASCII85Decode", b"NoSuchDecode"])
def test_a_bad_page_is_left_out_with_a_warning(encoding: bytes) -> None:
    start, separator, rest = make_pdf(2).rpartition(b"<</Length")  # of the last page's text, which has no encoding
    assert separator
    bad = start + b"<</Filter/" + encoding + b"/Length" + rest
    assert [locator for locator, _ in read(bad)] == ["page 1"]
    assert warnings(bad)[0].startswith("page 2 is left out: ")


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\nstartxref\n0\n%%EOF\n", make_pdf(1)[:200]])
def test_a_pdf_without_pages_is_damaged(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        read(data, "a.pdf")


@pytest.mark.slow
def test_a_stream_that_unpacks_to_too_much_is_refused() -> None:
    packed = zlib.compress(b"BT " + bytes(200 << 20) + b" ET", 9)
    data = make_pdf(1, content=packed).replace(
        b"<</Length %d>>" % len(packed), b"<</Filter/FlateDecode/Length %d>>" % len(packed)
    )
    with pytest.raises((ExtractionLimitError, CorruptFileError)):
        read(data)
