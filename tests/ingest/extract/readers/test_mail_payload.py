"""Bodies that are not encoded as their headers say, and files written into them."""

from __future__ import annotations

from base64 import b64encode, encodebytes
from binascii import b2a_uu

import pytest

from rag_pipeline.ingest.extract.readers.mail_payload import without_uuencoded
from tests.ingest.extract.makers import read

BASE64 = b"From: a\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
LONG = "Die Gebühr beträgt neunzig Euro. " * 10


def body(data: bytes) -> str:
    return read(BASE64 + data, "a.eml")[0][1].partition("\n\n")[2]


@pytest.mark.parametrize("footer", ["-- \nThis list footer was added.", "Thanks", "Thanks\nBob"])
@pytest.mark.parametrize("blank", ["", "\n"])
def test_text_below_base64_is_kept(footer: str, blank: str) -> None:
    data = encodebytes(LONG.encode()).replace(b"=", b"") + f"{blank}{footer}\n_______\n".encode()
    lines = [line for line in body(data).split("\n") if line]
    assert lines == [LONG.strip(), *footer.replace("-- ", "--").split("\n"), "_______"]


@pytest.mark.parametrize("padding", [b"", b"=", b"=="])
def test_base64_with_any_padding(padding: bytes) -> None:
    assert body(b64encode(b"The fee is 9").rstrip(b"=") + padding) == "The fee is 9"
    assert body(b64encode(b"The fee is 90").rstrip(b"=") + padding) == "The fee is 90"


def test_base64_encoded_in_pieces() -> None:
    assert body(b64encode(b"The fee") + b"\n" + b64encode(b" is 90.") + b"\n") == "The fee is 90."


def test_a_body_that_is_no_base64_is_text() -> None:
    assert body(b"The fee is 90 euros.") == "The fee is 90 euros."


def test_files_by_uuencode_are_named() -> None:
    lines = [b2a_uu(bytes(range(at, at + 45))).decode() for at in (0, 60, 120)] + [b2a_uu(b"x").decode()]
    coded = "begin 644 my pic.jpg\n" + "".join(lines)
    for end in ("`\nend\n", " \nend\n", "\nend\n", ""):
        assert without_uuencoded(f"before\n{coded}{end}after\n") == ("before\nafter\n", ["my pic.jpg"])
    assert without_uuencoded("begin 644 pic.jpg\nof my sketch\n") == ("begin 644 pic.jpg\nof my sketch\n", [])
