"""Read PDF, page by page, with pypdf."""

from __future__ import annotations

from pypdf import PdfReader
from pypdf.errors import (
    DependencyError,
    FileNotDecryptedError,
    LimitReachedError,
    PyPdfError,
)

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, ExtractionError, ExtractionLimitError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_PDF_ERRORS = (
    PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, AssertionError,
    NotImplementedError,
)  # fmt: skip


def read_pdf(file: InputFile, writer: SectionWriter) -> None:
    """Read the text layer; locators are page numbers, from 1.

    An unreadable page is left out with a warning; if all pages are unreadable, it is an error.
    """
    try:
        reader = PdfReader(file.stream)
        if reader.is_encrypted and not _opens_without_password(reader):
            raise EncryptedFileError("is encrypted; a password is needed")
        pages = len(reader.pages)
    except ExtractionError:
        raise
    except LimitReachedError as error:
        raise ExtractionLimitError(f"exceeds a limit of the PDF library ({error})") from error
    except FileNotDecryptedError as error:
        raise EncryptedFileError("is encrypted; a password is needed") from error
    except (*_PDF_ERRORS, RecursionError) as error:
        raise CorruptFileError(_reason(error)) from error
    if pages == 0:
        raise CorruptFileError("it has no pages")
    failed = 0
    for index in range(pages):
        writer.page(f"page {index + 1}")
        try:
            writer.write(reader.pages[index].extract_text())
        except ExtractionError:
            raise
        except (*_PDF_ERRORS, RecursionError) as error:
            failed += 1
            if failed == pages:
                raise CorruptFileError(_reason(error)) from error
            writer.warn("unreadable_page", f"page {index + 1} is left out: {_reason(error)}")
        writer.progress((index + 1) / pages)


def _opens_without_password(reader: PdfReader) -> bool:
    """Return whether the empty password opens the file: then it only restricts printing or editing."""
    try:
        return bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError):
        return False


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
