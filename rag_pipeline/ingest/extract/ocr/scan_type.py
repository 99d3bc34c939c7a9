"""The types of files that OCR reads, recognised by their first bytes."""

from __future__ import annotations

HEAD_BYTES = 1024
PDF = "application/pdf"
_AT_START = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


def scan_type(head: bytes) -> str | None:
    """Return the MIME type of a PDF or of a picture that OCR reads; None for other content."""
    for signature, mime_type in _AT_START:
        if head.startswith(signature):
            return mime_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and head[6:10] == b"\x00\x00\x00\x00":
        return "image/bmp"
    return PDF if b"%PDF-" in head[:HEAD_BYTES] else None
