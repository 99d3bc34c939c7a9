"""Open a PDF or a picture file as pages, and give each page as an array of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.ocr.scan_type import PDF

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MAX_PIXELS = 6_000_000
"""Pixels of a page that is recognised: A4 at 250 dots per inch. A larger picture is scaled down."""
MAX_FILE_PIXELS = 60_000_000
"""Pixels of a picture that is decoded: 180 MB of memory."""
_POINTS_PER_INCH, _DOTS_PER_INCH = 72, 200
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
# Pillow raises SyntaxError for some damaged headers, and whatever a decoder meets.
_PICTURE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError)


class Pages(Protocol):
    """The pages of a file. ``are_numbered`` is False for a file of a single picture."""

    count: int
    are_numbered: bool

    def picture(self, index: int) -> Pixels | None:
        """Return a page as (height, width, 3), blue first; None if the page has readable text of its own.

        Raises CorruptFileError or ExtractionLimitError.
        """
        ...


def open_pages(file: InputFile, mime_type: str) -> Pages:
    """Open a file of one of the types of ``scan_type``; raises an ExtractionError."""
    file.stream.seek(0)
    return PdfPages(file) if mime_type == PDF else PictureFrames(file)


class PdfPages:
    """The pages of a PDF, drawn by PDFium."""

    are_numbered = True

    def __init__(self, file: InputFile) -> None:
        from pypdfium2 import PdfDocument, PdfiumError

        from rag_pipeline.ingest.extract.readers.pdf.legibility import SecondOpinion

        self._second = SecondOpinion(file.stream, file.size, file.limits.memory_bytes // 16)
        try:
            self._document = PdfDocument(file.stream)
            self.count = len(self._document)
        except PdfiumError as error:
            if "password" in str(error).lower():
                raise EncryptedFileError("is encrypted; a password is needed") from error
            raise CorruptFileError("no PDF document was found in it") from error

    def picture(self, index: int) -> Pixels | None:
        """Draw a page unless it has text of its own."""
        from pypdfium2 import PdfiumError

        try:
            if self._has_text(index):
                return None
            page = self._document[index]  # loaded again, because the reading of text may take objects out of it
            try:
                return _draw(page)
            finally:
                page.close()
        except PdfiumError as error:
            raise CorruptFileError("its contents can't be read") from error

    def _has_text(self, index: int) -> bool:
        """Return whether the page has readable text, and not only a stamp on a scan."""
        from rag_pipeline.ingest.extract.readers.pdf.page_text import read_page_text
        from rag_pipeline.ingest.extract.readers.pdf.scans import needs_ocr

        page = self._document[index]
        try:
            text = read_page_text(page.raw)
            if text.is_doubtful and self._second.page_text(index):
                return True
            return text.letters > 0 and not needs_ocr(page.raw, text)
        finally:
            page.close()


def _draw(page: Any) -> Pixels:
    width, height = page.get_size()
    area = max(1.0, width) * max(1.0, height)
    scale = min(_DOTS_PER_INCH / _POINTS_PER_INCH, (MAX_PIXELS / area) ** 0.5)
    pixels: Pixels = page.render(scale=scale, rev_byteorder=False, prefer_bgrx=False).to_numpy()[:, :, :3].copy()
    return pixels


class PictureFrames:
    """The frames of a picture file, decoded by Pillow; most files have one, a fax as TIFF has one for each page."""

    def __init__(self, file: InputFile) -> None:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # the limit below has an error of its own
        try:
            self._image = Image.open(file.stream, formats=_FORMATS)
            self.count = int(getattr(self._image, "n_frames", 1)) if self._image.format == "TIFF" else 1
        except _PICTURE_ERRORS as error:
            raise CorruptFileError(_reason(error)) from error
        self.are_numbered = self.count > 1

    def picture(self, index: int) -> Pixels:
        """Decode a frame, upright and on white."""
        try:
            self._image.seek(index)
            width, height = self._image.size
            if width * height > MAX_FILE_PIXELS:
                raise ExtractionLimitError(
                    f"is {width:,} x {height:,} pixels, over the limit of {MAX_FILE_PIXELS:,}",
                )
            return _decode(self._image)
        except _PICTURE_ERRORS as error:
            if isinstance(error, ExtractionLimitError):
                raise
            raise CorruptFileError(_reason(error)) from error


def _decode(image: Any) -> Pixels:
    import numpy as np
    from PIL import Image, ImageOps

    frame = image.copy()
    width, height = frame.size
    if width * height > MAX_PIXELS:
        scale = (MAX_PIXELS / (width * height)) ** 0.5
        if frame.mode in ("1", "P"):
            frame = frame.convert("RGBA" if "transparency" in frame.info else "RGB")
        frame = frame.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    frame = ImageOps.exif_transpose(frame)
    if frame.mode.startswith("I;16") or frame.mode in ("I", "F"):
        frame = _sixteen_bits(frame)
    elif frame.mode in ("RGBA", "LA", "PA") or "transparency" in frame.info:
        frame = Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame.convert("RGBA"))
    return np.ascontiguousarray(np.asarray(frame.convert("RGB"))[:, :, ::-1])


def _sixteen_bits(frame: Any) -> Any:
    """Return a picture with more than 8 bits as 8 bits: its own range from black to white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(frame).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / ((high - low) or 1))).astype(np.uint8))


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
