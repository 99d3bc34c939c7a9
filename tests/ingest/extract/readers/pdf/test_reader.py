"""PDF files."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfReader, PdfWriter

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, UnreadableTextError
from rag_pipeline.ingest.extract.messages import WorkerMessage
from rag_pipeline.ingest.extract.readers.pdf.reader import read_pdf
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from tests.ingest.extract.makers import input_file, make_pdf, read, warnings
from tests.ingest.extract.readers.pdf.makers import placed, unmapped


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


def test_a_bad_page_is_left_out_with_a_warning() -> None:
    bad = make_pdf(2).replace(b"5 0 R 7 0 R", b"5 0 R 99 0 R")
    assert [locator for locator, _ in read(bad)] == ["page 1"]
    assert warnings(bad)[0].startswith("page 2 is left out: ")


def test_a_page_whose_stream_is_damaged_has_no_text() -> None:
    start, _, rest = make_pdf(2).rpartition(b"<</Length")  # of the last page's text, which has no encoding
    assert warnings(start + b"<</Filter/ASCII85Decode/Length" + rest) == ["1 of 2 pages have no text (scanned?)"]


def test_a_false_number_of_pages_ends_the_search() -> None:
    data = make_pdf(1).replace(b"/Count 1", b"/Count 900000")
    assert [locator for locator, _ in read(data)] == ["page 1"]
    assert "more pages are left out" in warnings(data)


@pytest.mark.parametrize("cut", ["startxref", "xref", "trailer"])
def test_a_file_without_its_table_of_objects_is_read(cut: str) -> None:
    data = make_pdf(2)
    end = data.rindex(cut.encode())
    assert len(read(data[:end] + (b"trailer<</Root 1 0 R>>" if cut != "startxref" else b""), "a.pdf")) == 2


def test_headings_are_in_the_locators_and_go_on_over_pages() -> None:
    first = b"BT /F1 24 Tf 72 700 Td (Leave) Tj /F1 12 Tf 0 -30 Td (27 days of annual leave) Tj ET"
    data = make_pdf(2).replace(b"\nendstream", b" " + first + b"\nendstream", 1)
    second = make_pdf(1, content=first)
    assert read(second) == [("page 1 › Leave", "Leave\n27 days of annual leave")]
    assert [locator for locator, _ in read(data)] == ["page 1", "page 1 › Leave", "page 2 › Leave"]


def test_the_title_is_kept() -> None:
    written = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf(1))))
    written.add_metadata({"/Title": "Annual report", "/Producer": "x"})
    data = io.BytesIO()
    written.write(data)
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=1 << 20)
    read_pdf(input_file(data.getvalue()), writer)
    assert writer.metadata == {"title": "Annual report"}


def test_text_that_is_drawn_twice_for_boldness_is_there_once() -> None:
    twice = [(72 + shift, 700, "Important notice") for shift in (0, 0.3, 0.5)]
    assert read(placed([*twice, (72, 680, "plain")])) == [("page 1", "Important notice\nplain")]


def test_invisible_text_over_a_scan_is_read() -> None:
    assert read(make_pdf(1, content=b"BT 3 Tr /F1 12 Tf 72 700 Td (Scanned words) Tj ET")) == [
        ("page 1", "Scanned words")
    ]


def test_characters_outside_of_the_basic_plane_are_whole() -> None:
    assert read(unmapped(b"<0041><D835DC00>", b"AAAA"))[0][1] == "\U0001d400" * 4


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\nstartxref\n0\n%%EOF\n", make_pdf(1)[:200]])
def test_a_pdf_without_pages_is_damaged(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        read(data, "a.pdf")


GARBAGE = bytes(range(1, 20)) * 6
WORDS = b"BT /F1 12 Tf 72 700 Td (These are legible words on a page of their own, many of them.) Tj ET"


def test_a_file_of_glyph_numbers_fails() -> None:
    with pytest.raises(UnreadableTextError, match="100% of its characters"):
        read(unmapped(b"", GARBAGE))


def test_a_page_of_glyph_numbers_is_left_out_with_a_warning() -> None:
    data = unmapped(b"", b"\x01\x02\x03\x04\x05\x06", WORDS * 4)
    assert [locator for locator, _ in read(data)] == ["page 2"]
    assert set(warnings(data)) == {
        "letters could not be decoded (font without Unicode map)",
        "1 of 2 pages have no text (scanned?)",
    }
