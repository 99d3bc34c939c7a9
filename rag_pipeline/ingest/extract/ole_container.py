"""Read OLE containers: a file system within a file, in which Office kept its documents before 2007."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rag_pipeline.errors import CorruptFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.code_pages import code_page
from rag_pipeline.ingest.extract.input_file import InputFile

if TYPE_CHECKING:
    import olefile

_MAX_STREAM_BYTES = 256 << 20
_SUMMARY = "\x05SummaryInformation"
_CODEPAGE, _NAMES = 1, {2: "title", 3: "subject", 4: "author", 5: "keywords"}
_TEXT, _WIDE_TEXT = 30, 31
_MAX_PROPERTIES = 100


class OleContainer:
    """The streams of a container, by name; raises CorruptFileError or ExtractionLimitError."""

    def __init__(self, file: InputFile) -> None:
        import olefile

        file.stream.seek(0)
        try:
            self._ole: olefile.OleFileIO[bytes] = olefile.OleFileIO(file.stream)
            self._names = frozenset("/".join(path).casefold() for path in self._ole.listdir(True, True))
        except MemoryError:
            raise
        except Exception as error:
            raise CorruptFileError("its directory of streams can't be read") from error

    def has(self, *names: str) -> bool:
        """Return whether it has one of these streams or folders; upper and lower case are the same."""
        return any(name.casefold() in self._names for name in names)

    def read(self, name: str) -> bytes:
        """Return the content of a stream."""
        try:
            if self._ole.get_size(name) > _MAX_STREAM_BYTES:
                raise ExtractionLimitError(f"has a stream, {name}, over the limit of {_MAX_STREAM_BYTES:,} bytes")
            content: bytes = self._ole.openstream(name).read()
        except (ExtractionLimitError, MemoryError):
            raise
        except Exception as error:
            raise CorruptFileError(f"its stream {name} is missing or damaged") from error
        return content

    def properties(self) -> dict[str, str]:
        """Return the document's title, author, subject and keywords, as far as the file has them."""
        try:
            return read_properties(self.read(_SUMMARY)) if self.has(_SUMMARY) else {}
        except (CorruptFileError, struct.error):  # no fault of the text
            return {}


def read_properties(data: bytes) -> dict[str, str]:
    """Return the texts in a stream of properties.

    Not by olefile: on damaged ones it takes endless time.
    """
    (start,) = struct.unpack_from("<I", data, 44)
    (count,) = struct.unpack_from("<I", data, start + 4)
    found: dict[int, tuple[int, bytes]] = {}
    for number in range(min(count, _MAX_PROPERTIES)):
        key, offset = struct.unpack_from("<II", data, start + 8 + 8 * number)
        kind, length = struct.unpack_from("<II", data, start + offset)
        content = start + offset + 8
        size = length * 2 if kind == _WIDE_TEXT else length
        found[key] = (
            kind,
            data[content : content + size] if kind in (_TEXT, _WIDE_TEXT) else data[content - 4 : content],
        )
    codepage = int.from_bytes(found.get(_CODEPAGE, (0, b""))[1][:2], "little")
    return {
        name: _decode(content, "utf-16-le" if kind == _WIDE_TEXT else code_page(codepage))
        for key, name in _NAMES.items()
        for kind, content in [found.get(key, (0, b""))]
        if kind in (_TEXT, _WIDE_TEXT)
    }


def _decode(content: bytes, codec: str) -> str:
    return content.decode(codec, "replace").partition("\0")[0].strip()
