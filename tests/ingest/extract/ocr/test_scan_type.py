"""Types of scans, by their first bytes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from rag_pipeline.ingest.extract.ocr.scan_type import scan_type


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_pictures_that_programs_write_are_recognised(name: str) -> None:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, name)
    assert scan_type(content.getvalue()) == f"image/{name.lower()}"


def test_a_pdf_may_begin_with_other_bytes() -> None:
    assert scan_type(b"\r\n%PDF-1.7\n") == "application/pdf"


@pytest.mark.parametrize("head", [b"", b"GIF89a", b"BMW and other cars", b"RIFF\0\0\0\0WAVE", b"PK\3\4"])
def test_other_content_is_none(head: bytes) -> None:
    assert scan_type(head) is None
