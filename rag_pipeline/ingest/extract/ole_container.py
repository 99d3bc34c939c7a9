"""Read OLE containers: a file system within a file, in which Office kept its documents before 2007."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_pipeline.errors import CorruptFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.input_file import InputFile

if TYPE_CHECKING:
    import olefile

_MAX_STREAM_BYTES = 256 << 20


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
            found = self._ole.get_metadata()
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - metadata that can't be read are no fault of the text
            return {}
        codepage = f"cp{found.codepage}" if isinstance(found.codepage, int) else "cp1252"
        result: dict[str, str] = {}
        for key in ("title", "author", "subject", "keywords"):
            value = getattr(found, key, None)
            if isinstance(value, bytes):
                result[key] = _decode(value, codepage)
        return result


def _decode(value: bytes, codepage: str) -> str:
    try:
        return value.decode("utf-8" if codepage == "cp65001" else codepage, "replace").strip("\0 ")
    except LookupError:
        return value.decode("cp1252", "replace").strip("\0 ")
