"""The signatures of binary formats without searchable text, and their names."""

from __future__ import annotations

import re

_AT_START = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"8BPS\x00", "a Photoshop image"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"OggS", "Ogg audio or video"),
    (b"fLaC", "FLAC audio"),
    (b"ID3", "MP3 audio"),
    (b"MThd", "MIDI audio"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"FLV\x01", "a Flash video"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MSCF\x00", "a cabinet archive"),
    (b"!<arch>\n", "an ar archive"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"\x7fELF", "a program (ELF)"),
    (b"\xca\xfe\xba\xbe", "a program (Java or Mach-O)"),
    (b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    (b"\xce\xfa\xed\xfe", "a program (Mach-O)"),
    (b"\x00asm", "a program (WebAssembly)"),
    (b"\xffWPC", "a WordPerfect document"),
    (b"AC1", "an AutoCAD drawing"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "a OneNote notebook"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"OTTO\x00", "a font"),
    (b"\x00\x01\x00\x00\x00", "a font"),
    (b"%!PS", "a PostScript program"),
    (b"-----BEGIN PGP MESSAGE", "a PGP message"),
    (b"age-encryption.org/", "an age-encrypted file"),
)
_RIFF = {b"WAVE": "WAV audio", b"AVI ": "an AVI video", b"WEBP": "a WebP image"}
_MP3_FRAME = re.compile(rb"\xff[\xfb\xf3\xf2][\x10-\xef]")


def binary_label(head: bytes) -> str | None:
    """Return the name of a known binary format, such as ``a PNG image``; None for other content."""
    for signature, label in _AT_START:
        if head.startswith(signature):
            return label
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "a RIFF media file")
    if head[4:8] == b"ftyp":
        return "an MP4, HEIF or similar media file"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.startswith(b"BM") and head[6:10] == b"\x00\x00\x00\x00":
        return "a BMP image"
    if head.startswith(b"MZ") and b"\x00" in head[:64]:
        return "a program (Windows)"
    if _MP3_FRAME.match(head):
        return "MP3 audio"
    return None
