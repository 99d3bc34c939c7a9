"""The signatures of binary formats that are not read, and their names."""

from __future__ import annotations

import re
from collections.abc import Container

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
    (b"\x00\x01\x00\x00Standard Jet DB", "an Access database"),
    (b"\x00\x01\x00\x00Standard ACE DB", "an Access database"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "a OneNote notebook"),
    (b"!BDN", "an Outlook mailbox (pst)"),
    (b"\x78\x9f\x3e\x22", "an Outlook attachment container (winmail.dat)"),
    (b"AT&TFORM", "a DjVu document"),
    (b"ITSF\x03\x00", "a Windows help file (chm)"),
    (b"?_\x03\x00", "a Windows help file (hlp)"),
    (b"bplist00", "an Apple property list or web archive"),
    (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5", "an InDesign document"),
    (b"\x31\xbe\x00\x00", "a Write or Word document for DOS"),
    (b"\xdb\xa5\x2d\x00", "a Word document of the format before 1997 (doc)"),
    (b"\x09\x08\x10\x00", "an Excel workbook of the format before 2007 (xls)"),
    (b"\x09\x04\x06\x00", "an Excel workbook of the format before 1997 (xls)"),
    (b"\x00\x00\x02\x00", "a Lotus 1-2-3 worksheet"),
    (b"\x00\x00\x1a\x00", "a Lotus 1-2-3 worksheet"),
)
_RIFF = {b"WAVE": "WAV audio", b"AVI ": "an AVI video", b"WEBP": "a WebP image"}
_MP3_FRAME = re.compile(rb"\xff[\xfb\xf3\xf2][\x10-\xef]")


# A member of a zip archive, an extension that has the say if given, and the name of the format.
_IN_ZIP = (
    ("Index/Document.iwa", "pages", "is an Apple Pages document, which is not read; export it as Word or PDF"),
    ("Index/Document.iwa", "numbers", "is an Apple Numbers spreadsheet, which is not read; export it as Excel or CSV"),
    (
        "Index/Document.iwa",
        "key",
        "is an Apple Keynote presentation, which is not read; export it as PowerPoint or PDF",
    ),
    ("Index/Document.iwa", "", "is an Apple Pages, Numbers or Keynote file, which is not read"),
    ("Index.zip", "", "is an Apple Pages, Numbers or Keynote file, which is not read"),
    ("index.xml", "pages", "is an Apple Pages document, which is not read; export it as Word or PDF"),
    ("index.xml", "numbers", "is an Apple Numbers spreadsheet, which is not read; export it as Excel or CSV"),
    ("index.apxl", "", "is an Apple Keynote presentation, which is not read; export it as PowerPoint or PDF"),
    ("visio/document.xml", "", "is a Visio drawing, which is not read"),
    ("FixedDocSeq.fdseq", "", "is an XPS document, which is not read"),
    ("_rels/FixedDocumentSequence.fdseq.rels", "", "is an XPS document, which is not read"),
    ("AndroidManifest.xml", "", "is an Android app, which holds no text to read"),
    ("META-INF/MANIFEST.MF", "", "is a Java archive, which holds no text to read"),
    ("doc.kml", "", "is a map (kmz), which is not read"),
    ("designmap.xml", "", "is an InDesign document, which is not read"),
    ("Contents/content.hpf", "", "is a Hangul document (hwpx), which is not read"),
)


def zip_label(names: Container[str], extension: str) -> str | None:
    """Return what is wrong with a zip archive of a format that is not read; None if it is any other archive."""
    for member, needed, label in _IN_ZIP:
        if member in names and needed in ("", extension):
            return label
    return None


_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})


def binary_label(head: bytes) -> str | None:
    """Return the name of a known binary format, such as ``a PNG image``; None for other content."""
    for signature, label in _AT_START:
        if head.startswith(signature):
            return label
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "a RIFF media file")
    if head.startswith(b"AC10") and head[6:7] == b"\x00":
        return "an AutoCAD drawing"
    if head[60:68] in (b"BOOKMOBI", b"TEXtREAd"):
        return "a Kindle or Palm book (mobi)"
    if head[2:4] == b"\r\n" and head[16:17] in (b"\xe3", b"c") and b"\x00" in head[:16]:
        return "compiled Python code"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        return "a HEIF image (HEIC or AVIF)"
    if head[4:8] == b"ftyp":
        return "an MP4 or similar media file"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.startswith(b"BM") and head[6:10] == b"\x00\x00\x00\x00":
        return "a BMP image"
    if head.startswith(b"MZ") and b"\x00" in head[:64]:
        return "a program (Windows)"
    if _MP3_FRAME.match(head):
        return "MP3 audio"
    return None
