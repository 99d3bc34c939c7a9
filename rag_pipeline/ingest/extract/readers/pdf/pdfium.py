"""Documents and pages of PDFium, a C library that Chromium uses too. The build has no JavaScript and no XFA."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pypdfium2.raw as pdfium

from rag_pipeline.errors import CorruptFileError, EncryptedFileError

_MAX_STRING_BYTES = 1 << 22
_MAX_DEPTH, _MAX_BOOKMARKS = 8, 20_000
Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in points; y grows upwards."""


class PdfDocument:
    """An open document. Raises OSError if the storage fails while PDFium reads from it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        """Open the document; the empty user password is tried, as all viewers do."""
        self._file = _FileAccess(stream, size)
        self.raw = pdfium.FPDF_LoadCustomDocument(self._file.access, None)
        self._file.check()
        if not self.raw:
            raise _open_error(pdfium.FPDF_GetLastError())
        self.page_count: int = pdfium.FPDF_GetPageCount(self.raw)

    def close(self) -> None:
        """Free the document; all its pages must be closed."""
        pdfium.FPDF_CloseDocument(self.raw)

    @contextmanager
    def page(self, index: int) -> Iterator[Any]:
        """Load a page for a block; raises CorruptFileError."""
        page = pdfium.FPDF_LoadPage(self.raw, index)
        self._file.check()
        if not page:
            raise CorruptFileError("its contents can't be read")
        try:
            yield page
        finally:
            pdfium.FPDF_ClosePage(page)

    def describe(self, key: str) -> str:
        """Return an entry of the document's information, such as ``Title``; empty if there is none."""
        return read_string(lambda buffer, size: pdfium.FPDF_GetMetaText(self.raw, key.encode(), buffer, size))

    def outline(self) -> Iterator[tuple[int, int, str]]:
        """Yield the page's index, the level from 1, and the title of each entry of the outline."""
        todo = [(1, pdfium.FPDFBookmark_GetFirstChild(self.raw, None))]
        seen: set[int] = set()
        while todo and len(seen) < _MAX_BOOKMARKS:
            level, mark = todo.pop()
            address = mark and ctypes.cast(mark, ctypes.c_void_p).value
            if not address or address in seen:  # outlines can loop
                continue
            seen.add(address)
            todo.append((level, pdfium.FPDFBookmark_GetNextSibling(self.raw, mark)))
            if level < _MAX_DEPTH:
                todo.append((level + 1, pdfium.FPDFBookmark_GetFirstChild(self.raw, mark)))
            target = pdfium.FPDFBookmark_GetDest(self.raw, mark)
            page = pdfium.FPDFDest_GetDestPageIndex(self.raw, target) if target else -1
            if page >= 0:
                yield page, level, _bookmark_title(mark)


def _bookmark_title(mark: Any) -> str:
    return " ".join(read_string(lambda buffer, size: pdfium.FPDFBookmark_GetTitle(mark, buffer, size)).split())


class _FileAccess:
    """PDFium's access to a stream. An exception must not cross the C code, so it is kept until ``check``."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._error: OSError | None = None
        self.access = pdfium.FPDF_FILEACCESS()
        self.access.m_FileLen = size
        field = dict(self.access._fields_)["m_GetBlock"]
        self.access.m_GetBlock = field(self._read)

    def _read(self, _: object, position: int, buffer: Any, size: int) -> int:
        target = memoryview((ctypes.c_char * size).from_address(ctypes.addressof(buffer.contents))).cast("B")
        try:
            self._stream.seek(position)
            data = self._stream.read(size)
        except OSError as error:
            self._error = error
            return 0
        target[: len(data)] = data
        return int(len(data) == size)

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _open_error(code: int) -> Exception:
    if code == pdfium.FPDF_ERR_PASSWORD:
        return EncryptedFileError("is encrypted; a password is needed")
    if code == pdfium.FPDF_ERR_SECURITY:
        return EncryptedFileError("is encrypted in a way that is not supported")
    return CorruptFileError("no PDF document was found in it")


def read_string(call: Callable[[Any, int], int]) -> str:
    """Return a string that a function of PDFium writes in UTF-16 to a buffer, given its size in bytes."""
    size = call(None, 0)
    if not 2 < size <= _MAX_STRING_BYTES:  # 2: only the end mark
        return ""
    buffer = ctypes.create_string_buffer(size + 2)
    call(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")
