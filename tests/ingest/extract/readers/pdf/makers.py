"""Make small PDFs with text at given places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.ingest.extract.makers import make_pdf

Placed = tuple[float, float, str]
"""x, y and the text."""


def placed(texts: Iterable[Placed], size: int = 12) -> bytes:
    """Return a PDF of one page with texts drawn in this order."""
    shown = (f"1 0 0 1 {x} {y} Tm ({text}) Tj" for x, y, text in texts)
    return make_pdf(1, content=f"BT /F1 {size} Tf {' '.join(shown)} ET".encode("cp1252"))


def lines(texts: Sequence[str], x: float = 72, top: float = 700, leading: float = 14) -> list[Placed]:
    """Return lines below each other."""
    return [(x, top - leading * number, text) for number, text in enumerate(texts)]


def document(*objects: bytes) -> bytes:
    """Return a PDF of these objects, numbered from 1; the first is the catalog. It has no table of objects."""
    body = b"".join(b"%d 0 obj%s endobj\n" % (number, content) for number, content in enumerate(objects, start=1))
    return b"%PDF-1.7\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF\n"


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(content), content)


def with_fields(
    *annotations: bytes, content: bytes = b"BT /F1 12 Tf 72 700 Td (Name:) Tj ET", form: bool = True
) -> bytes:
    """Return a PDF of one page with annotations; those with ``/FT`` are fields of its form."""
    numbers = range(6, 6 + len(annotations))
    references = b" ".join(b"%d 0 R" % number for number in numbers)
    acro = b"/AcroForm<</Fields[%s]>>" % references if form else b""
    return document(
        b"<</Type/Catalog/Pages 2 0 R%s>>" % acro,
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R/Annots[%s]>>"
        % references,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        stream(content),
        *annotations,
    )


def unmapped(map_entries: bytes, *codes: bytes) -> bytes:
    """Return a PDF whose pages show codes of a Type 3 font; ``map_entries`` such as ``<0041><0042>`` map to Unicode.

    Codes that start with ``BT`` are a page's content in Helvetica instead.
    """
    count = map_entries.count(b"><")
    cmap = b"begincmap 1 begincodespacerange <00><FF> endcodespacerange %d beginbfchar %s endbfchar endcmap" % (
        count,
        map_entries.replace(b"<00", b"<"),
    )
    procedures = b" ".join(b"/x%d 5 0 R" % code for code in range(256))
    names = b" ".join(b"/x%d" % code for code in range(256))
    pages, contents = [], []
    for number, code in enumerate(codes):
        shown = code if code.startswith(b"BT") else b"BT /F2 12 Tf 72 700 Td <%s> Tj ET" % code.hex().encode()
        pages.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R/F2 4 0 R>>>>"
            b"/Contents %d 0 R>>" % (7 + 2 * number)
        )
        contents.append(stream(shown))
    kids = b" ".join(b"%d 0 R" % (8 + 2 * number) for number in range(len(codes)))
    return document(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(codes), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[.1 0 0 .1 0 0]/FirstChar 0/LastChar 255"
        b"/Widths[%s]/CharProcs<<%s>>/Encoding<</Differences[0 %s]>>%s>>"
        % (b"6 " * 256, procedures, names, b"/ToUnicode 6 0 R" if map_entries else b""),
        stream(b"6 0 d0 0 0 5 5 re f"),
        stream(cmap),
        *(item for pair in zip(contents, pages, strict=True) for item in pair),
    )
