"""Downloads or exports a Drive file to a temporary local copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.errors import DownloadError, FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import Export, Unsupported, fetch_method
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.google_drive.transport.error_reasons import UNSUPPORTED_CONVERSION
from rag_pipeline.sources.source import Check

# For names without an extension: readers tell the text formats apart by it.
_EXTENSIONS = {
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "message/rfc822": ".eml",
}
# After these errors another export format may work.
_FORMAT_REFUSED = frozenset({"noExport", "exportSizeLimitExceeded", UNSUPPORTED_CONVERSION})


@contextmanager
def local_copy(
    api: DriveApi,
    downloads: DownloadFolder,
    file: DriveFile,
    *,
    limit_bytes: int,
    on_progress: ProgressCallback,
    check: Check,
) -> Iterator[Path]:
    """Yield the path of the file's content, downloaded or exported; it is removed at the end of the block.

    Raises what :meth:`DriveApi.download` and :meth:`DriveApi.export` raise; an unsupported file is a
    :class:`~rag_pipeline.sources.google_drive.errors.FileUnavailableError` too.
    """
    method = fetch_method(file, limit_bytes)
    if isinstance(method, Unsupported):
        raise FileUnavailableError(method.reason, gone=False, code="unfit")
    if not isinstance(method, Export):
        extension = "" if "." in file.name else _EXTENSIONS.get(file.mime_type, "")
        with downloads.new_path(file.name, extension) as path:
            api.download(file, path, on_progress, check)
            yield path
        return
    for number, (mime_type, extension) in enumerate(method.formats, 1):
        with downloads.new_path(file.name, extension) as path:
            try:
                api.export(file, mime_type, path, on_progress, check, limit_bytes=limit_bytes)
            except (FileUnavailableError, DownloadError) as error:
                if number < len(method.formats) and _try_next_format(error):
                    continue
                raise
            yield path
            return


def _try_next_format(error: FileUnavailableError | DownloadError) -> bool:
    return not isinstance(error, FileUnavailableError) or (not error.gone and error.code in _FORMAT_REFUSED)
