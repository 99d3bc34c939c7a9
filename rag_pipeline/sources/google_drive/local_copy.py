"""A file of Drive's as a file on this machine, for as long as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.errors import DownloadError, FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import Export, Unsupported, fetch_method
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.google_drive.transport.error_reasons import UNSUPPORTED_CONVERSION

# What the name leaves open, readers see by its ending: text comes in many forms.
_EXTENSIONS = {
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "message/rfc822": ".eml",
}
# Another format may do where this is the reason.
_FORMAT_REFUSED = frozenset({"noExport", "exportSizeLimitExceeded", UNSUPPORTED_CONVERSION})


@contextmanager
def local_copy(
    api: DriveApi,
    spool: DownloadFolder,
    file: DriveFile,
    *,
    limit_bytes: int,
    on_progress: ProgressCallback,
    check: Callable[[], None],
) -> Iterator[Path]:
    """Give the path of the file's content, downloaded or exported; it is removed at the end of the block.

    Raises what :meth:`DriveApi.download` and :meth:`DriveApi.export` do; a file that is not for fetching is a
    :class:`~rag_pipeline.sources.google_drive.errors.FileUnavailableError` as well.
    """
    kind = fetch_method(file, limit_bytes)
    if isinstance(kind, Unsupported):
        raise FileUnavailableError(kind.reason, gone=False, code="unfit")
    if not isinstance(kind, Export):
        extension = "" if "." in file.name else _EXTENSIONS.get(file.mime_type, "")
        with spool.place(file.name, extension) as path:
            api.download(file, path, on_progress, check)
            yield path
        return
    for number, (mime_type, extension) in enumerate(kind.formats, 1):
        with spool.place(file.name, extension) as path:
            try:
                api.export(file, mime_type, path, on_progress, check, limit_bytes=limit_bytes)
            except (FileUnavailableError, DownloadError) as error:
                if number < len(kind.formats) and _another_may_do(error):
                    continue
                raise
            yield path
            return


def _another_may_do(error: FileUnavailableError | DownloadError) -> bool:
    return not isinstance(error, FileUnavailableError) or (not error.gone and error.code in _FORMAT_REFUSED)
