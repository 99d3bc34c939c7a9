"""Build test files from bytes, and read them in this process."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rag_pipeline.ingest.extract.file_type import recognise
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import SectionFound, Warned, WorkerMessage
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.readers import load_reader
from rag_pipeline.ingest.extract.section_writer import SectionWriter

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "documents"

WORD_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
EXCEL_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
WORD_NAMESPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def input_file(
    data: bytes, name: str = "file", limits: ExtractionLimits | None = None, options: ReadOptions | None = None
) -> InputFile:
    """Return bytes as a reader's input file."""
    return InputFile(io.BytesIO(data), len(data), name, limits or ExtractionLimits(), options or ReadOptions())


def read(
    data: bytes, name: str = "file", limits: ExtractionLimits | None = None, options: ReadOptions | None = None
) -> list[tuple[str, str]]:
    """Read a file in this process; return its sections as (locator, text)."""
    return [(m.locator, m.text) for m in read_messages(data, name, limits, options) if isinstance(m, SectionFound)]


def read_text(data: bytes, name: str = "file", options: ReadOptions | None = None) -> str:
    """Read a file in this process; return the text of all sections."""
    return "\n".join(text for _, text in read(data, name, options=options))


def warnings(data: bytes, name: str = "file") -> list[str]:
    """Return the warnings that reading a file sends."""
    return [m.message for m in read_messages(data, name) if isinstance(m, Warned)]


def read_metadata(data: bytes, name: str = "file") -> dict[str, str]:
    """Return what a file says about itself."""
    file = input_file(data, name)
    writer = SectionWriter(lambda _: None, text_bytes=file.limits.text_bytes)
    load_reader(recognise(file).reader)(file, writer)
    return writer.metadata


def read_messages(
    data: bytes, name: str = "file", limits: ExtractionLimits | None = None, options: ReadOptions | None = None
) -> list[WorkerMessage]:
    """Return all messages that reading a file sends."""
    file = input_file(data, name, limits, options)
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=file.limits.text_bytes)
    reader = load_reader(recognise(file).reader)
    file.stream.seek(0)
    reader(file, writer)
    writer.finish()
    return sent


def text_written(write: Callable[[SectionWriter], None]) -> str:
    """Return the text that a function writes."""
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=1 << 24)
    write(writer)
    writer.finish()
    return "\n".join(message.text for message in sent if isinstance(message, SectionFound))


def make_zip(parts: Mapping[str, bytes | str]) -> bytes:
    """Return a zip archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return data.getvalue()


def make_office(main: str, content_type: str, parts: Mapping[str, bytes | str]) -> bytes:
    """Return an Office file whose main part is ``main``."""
    relation = f'<Relationship Id="r" Type="x/officeDocument" Target="{main}"/>'
    return make_zip(
        {
            "[Content_Types].xml": f'<Types><Override PartName="/{main}" ContentType="{content_type}"/></Types>',
            "_rels/.rels": f"<Relationships>{relation}</Relationships>",
            **parts,
        }
    )


def make_docx(body: str, prologue: str = "", extra: Mapping[str, bytes | str] | None = None) -> bytes:
    """Return a Word document with a body in WordprocessingML."""
    document = f"{prologue}<w:document {WORD_NAMESPACE}><w:body>{body}</w:body></w:document>"
    return make_office("word/document.xml", WORD_MAIN, {"word/document.xml": document, **(extra or {})})


def make_xlsx(
    sheet: str,
    shared: str = "",
    styles: str = "",
    name: str = "Budget",
    *,
    around: tuple[str, str] = ("", ""),
    state: str = "visible",
    extra: Mapping[str, bytes | str] | None = None,
) -> bytes:
    """Return a workbook of one sheet; rows, shared strings, styles, and what is around the rows are SpreadsheetML."""
    return make_office(
        "xl/workbook.xml",
        EXCEL_MAIN,
        {
            "xl/workbook.xml": '<workbook xmlns:r="urn:r"><sheets>'
            f'<sheet name="{name}" sheetId="1" r:id="r1" state="{state}"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="r1" Type="x/worksheet" '
            'Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="x/sharedStrings" Target="sharedStrings.xml"/>'
            '<Relationship Id="r3" Type="x/styles" Target="/xl/styles.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f"<worksheet>{around[0]}<sheetData>{sheet}</sheetData>{around[1]}</worksheet>",
            "xl/sharedStrings.xml": f"<sst>{shared}</sst>",
            "xl/styles.xml": f"<styleSheet>{styles}</styleSheet>",
            **(extra or {}),
        },
    )


def make_pdf(pages: int, lines: int = 3, content: bytes | None = None) -> bytes:
    """Return a PDF; each page has this number of lines, or this content stream."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for number in range(1, pages + 1):
        rows = b"".join(b"(Line %d of page %d, with words in it) ' " % (row, number) for row in range(lines))
        stream = content if content is not None else b"BT /F1 11 Tf 14 TL 72 770 Td " + rows + b"ET"
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, b" ".join(kids))
    data = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)


def make_ole_file(streams: Mapping[str, bytes]) -> bytes:
    """Return an OLE container of streams, each padded with zeros to a multiple of 512 bytes and at least 4,096."""
    end, free, fat_sector = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    padded = {name: data.ljust(4096, b"\0") for name, data in streams.items()}
    padded = {name: data + bytes(-len(data) % 512) for name, data in padded.items()}
    directory_sectors = (len(padded) + 4) // 4
    fat = [fat_sector, *range(2, directory_sectors + 1), end]
    entries = [_ole_entry("Root Entry", 5, end, 0, 1 if padded else free)]
    content = b""
    for number, (name, data) in enumerate(padded.items(), start=1):
        start = len(fat)
        fat += [*range(start + 1, start + len(data) // 512), end]
        following = number + 1 if number < len(padded) else free
        entries.append(_ole_entry(name, 2, start, len(data), right=following))
        content += data
    assert len(fat) <= 128
    header = struct.pack("<8s16xHHHHH6xIIIIIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0,
                         4096, end, 0, end, 0)  # fmt: skip
    header += struct.pack("<109I", 0, *[free] * 108)
    directory = b"".join(entries).ljust(directory_sectors * 512, b"\0")
    return header + struct.pack("<128I", *fat, *[free] * (128 - len(fat))) + directory + content


def _ole_entry(name: str, kind: int, start: int, size: int, child: int = 0xFFFFFFFF, right: int = 0xFFFFFFFF) -> bytes:
    encoded = name.encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16x4x16xIQ", encoded, len(encoded) + 2, kind, 1, 0xFFFFFFFF, right, child, start, size
    )
