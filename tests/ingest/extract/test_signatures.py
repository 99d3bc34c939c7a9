"""Binary formats are named by their signatures."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.signatures import binary_label


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"RIFF\x00\x00\x00\x00WAVE", "WAV"),
        (b"RIFF\x00\x00\x00\x00CDR9", "RIFF"),
        (b"\x00\x00\x00\x20ftypisom", "MP4"),
        (b"\x00\x00\x00\x20ftypheic", "HEIF"),
        (bytes.fromhex("a70d0d0a00000000c2c00d6b03000000e3000000"), "compiled Python"),
        (bytes(257) + b"ustar", "tar"),
        (b"MZ" + bytes(60), "Windows"),
        (b"\xff\xfb\x90\x64", "MP3"),
        (b"BM\x00\x01\x00\x00\x00\x00\x00\x00", "BMP"),
    ],
)
def test_a_known_format_has_a_name(head: bytes, words: str) -> None:
    assert words in (binary_label(head) or "")


@pytest.mark.parametrize("head", [b"", b"plain", b"MZ is how a letter may begin", b"BMW", "ÿû is UTF-8".encode()])
def test_text_is_not_taken_for_a_binary_format(head: bytes) -> None:
    assert binary_label(head) is None
