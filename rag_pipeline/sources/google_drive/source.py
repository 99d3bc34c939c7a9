"""The source of google_drive: keeps the mirror up to date, and reports what is in it."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.google_drive import changes, shortcuts, watched_folder
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.deletion_check import DeletionCheck
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.errors import (
    CredentialsError,
    DownloadError,
    DriveError,
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
    RefusedError,
)
from rag_pipeline.sources.google_drive.listing import Listing
from rag_pipeline.sources.google_drive.local_copy import local_copy
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.google_drive.snapshot import build_snapshot, snapshot_entry
from rag_pipeline.sources.source import (
    ChangeWatcher,
    Check,
    FoundFile,
    OpenFile,
    SkippedError,
    Snapshot,
    SourceUnavailableError,
    open_local,
)

logger = logging.getLogger(__name__)

PIPELINE_TYPE = "google_drive"
MAX_PASSES = 3
PERSON_SECONDS = 3600.0
"""The longest wait between two attempts, for errors that only a person can fix, such as revoked credentials."""


class GoogleDriveSource:
    """Follows the folder ``folder_id``; the :class:`~rag_pipeline.sources.source.Source` of google_drive.

    ``location`` names it in the ledger. Files of up to ``limit_bytes`` are downloaded, to ``downloads``. ``account`` is
    the account whose view of Drive the mirror holds. The caller closes ``api`` and ``mirror``.
    """

    kind = PIPELINE_TYPE
    transfers = True
    settle_seconds = 0.0

    def __init__(
        self,
        api: DriveApi,
        mirror: Mirror,
        downloads: DownloadFolder,
        folder_id: str,
        *,
        location: str,
        account: str,
        limit_bytes: int,
    ) -> None:
        self.location = location
        self._api = api
        self._mirror = mirror
        self._downloads = downloads
        self._folder_id = folder_id
        self._account = account
        self._limit_bytes = limit_bytes
        self._listing = Listing(api, mirror)
        self._deletion_check = DeletionCheck(api, mirror)
        self._folder: DriveFile | None = None
        self._snapshot: tuple[int, Snapshot] | None = None
        self._versions: dict[str, str] = {}

    @property
    def status_fields(self) -> Mapping[str, object]:
        """The folder's name, once it is known."""
        return {"folder": self._folder_id if self._folder is None else self._folder.name}

    def watch(self, wake: Callable[[], None], stop: threading.Event) -> ChangeWatcher | None:  # noqa: ARG002
        """Return None: Drive's changes are polled."""
        return None

    # -- scans -----------------------------------------------------------------------------------------------------

    def scan(self, check: Check) -> Snapshot:
        """Update the mirror, with one request if nothing has changed, and return what is in it."""
        with self._source_errors():
            self._update(check)
        return self._current_snapshot()

    def _confirm_missing(self, missing: Collection[str], check: Check) -> Snapshot:
        """Ask Drive about known files that were not found, because a listing may leave out existing files."""
        with self._source_errors():
            before = self._deletion_check.undecided
            self._deletion_check.confirm(missing, check)
            new = len(self._deletion_check.undecided - before)
        if new:
            logger.info(
                "%s: %d files are no longer visible; their text is kept until Drive confirms that they are gone",
                self.location,
                new,
            )
        return self._current_snapshot()

    @contextmanager
    def _source_errors(self) -> Iterator[None]:
        """Turn Drive's errors into those of a source."""
        try:
            yield
        except SourceUnavailableError as error:
            self._folder = None
            if not self._was_seen:
                # This account never saw the folder, so the id is probably wrong.
                share = f" (it can be shared with {self._account})" if "@" in self._account else ""
                raise ConfigurationError(f"{self.location}: {error}{share}") from None
            self._mirror.require_full_pass()
            raise
        except (CredentialsError, DriveUnavailableError, RefusedError) as error:
            if isinstance(error, CredentialsError) and not self._was_seen:
                raise  # the credentials never worked, so they are probably wrong
            raise _source_error(error) from None
        except DriveError as error:
            self._folder = None
            self._mirror.require_full_pass()
            # The folder or its shared drive disappeared during the listing.
            reason = f"the folder {error.reason}" if isinstance(error, FileUnavailableError) else str(error)
            raise SourceUnavailableError(reason, ends_with=DriveError) from None

    @property
    def _was_seen(self) -> bool:
        """Whether this account has seen the folder before."""
        position = self._mirror.position
        return position is not None and position.account == self._account

    def _update(self, check: Check) -> None:
        passes = 0
        self._deletion_check.begin()
        while True:
            if self._folder is None:
                self._folder = watched_folder.find_folder(self._api, self._folder_id, check)
            if not self._is_current(self._folder):
                passes += 1
                if passes > MAX_PASSES:
                    raise DriveError("Google Drive rejects the page tokens that it issues")
                self._begin_full_pass(self._folder, check)
            self._listing.run(self._folder.drive_id, check)
            if not self._apply_changes(self._folder.drive_id, check):
                # The folder may be trashed, moved, no longer shared, or shared again.
                self._folder = None
                continue
            shortcuts.resolve(self._api, self._mirror, self._folder.drive_id, check)
            if not self._deletion_check.recheck(check) and not self._mirror.unlisted(1):
                break
        self._mirror.prune()

    def _is_current(self, folder: DriveFile) -> bool:
        """Return whether the mirror holds this account's view of this folder, and needs no full pass."""
        position = self._mirror.position
        expected = folder.id, folder.drive_id, self._account
        return position is not None and not position.needs_full_pass and position[:3] == expected

    def _begin_full_pass(self, folder: DriveFile, check: Check) -> None:
        # The token comes first, so that changes during the listing are applied afterwards.
        token = self._api.start_page_token(folder.drive_id, check)
        self._mirror.begin(folder, watched_folder.ancestors(self._api, folder, check), self._account, token)

    def _apply_changes(self, drive_id: str | None, check: Check) -> bool:
        """Apply the changes; return whether they are complete, so that no full pass is needed."""
        try:
            changes.apply_changes(self._api, self._mirror, drive_id, check)
        except PageTokenGoneError as error:
            logger.info("%s: all folders are listed again, and no file is processed again", error)
            self._mirror.require_full_pass()
        position = self._mirror.position
        return position is not None and not position.needs_full_pass

    def _current_snapshot(self) -> Snapshot:
        revision = self._mirror.revision
        if self._snapshot is None or self._snapshot[0] != revision:
            snapshot = build_snapshot(self._mirror, self._limit_bytes)._replace(
                may_exist=lambda key: not self._deletion_check.is_gone(key),
                is_gone=self._deletion_check.is_gone,
                confirm_missing=self._confirm_missing,
            )
            self._snapshot = revision, snapshot
            files = {key: file.version for key, file in snapshot.files.items()}
            self._versions = files | {key: entry.version for key, entry in snapshot.unreadable.items()}
        return self._snapshot[1]

    # -- single files ----------------------------------------------------------------------------------------------

    def version_now(self, file: FoundFile) -> str:
        """Return the version in the mirror, without a request.

        For a file that has become unreadable it is the reason, so that the next scan shows the file as unreadable.
        """
        try:
            return self._versions[file.file_id]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "is no longer in the folder", file.name) from None

    @contextmanager
    def fetch(self, file: FoundFile, on_progress: ProgressCallback, check: Check) -> Iterator[OpenFile]:
        """Download the file and open it; the copy is removed at the end of the block."""
        drive_file = self._mirror.file(file.file_id)
        if drive_file is None:
            raise FileNotFoundError(errno.ENOENT, "is no longer in the folder", file.name)
        with ExitStack() as stack:
            copy = local_copy(
                self._api,
                self._downloads,
                drive_file,
                limit_bytes=self._limit_bytes,
                on_progress=on_progress,
                check=check,
            )
            try:
                path = stack.enter_context(copy)
            except DriveError as error:
                raise self._file_error(error, drive_file, file.name) from None
            yield stack.enter_context(open_local(str(path)))

    def _file_error(self, error: DriveError, file: DriveFile, name: str) -> Exception:
        """Return the exception to raise for a file that could not be downloaded."""
        match error:
            case FileUnavailableError(gone=True):
                return self._content_not_found(file, name)
            case FileUnavailableError(retryable=False):
                self._mirror.mark_refused(file.id)
                return SkippedError(f"{name} {error.reason}")
            case FileUnavailableError():
                return DownloadError(f"{name} {error.reason}")
            case DownloadError():
                # There may be a newer version of the content.
                with suppress(DriveError):
                    self._refresh(file.id)
                return error
        return _source_error(error)

    def _content_not_found(self, file: DriveFile, name: str) -> Exception:
        """Return the exception for a content that was not found; if the file exists, the error may pass."""
        try:
            self._refresh(file.id)
        except DriveError as error:
            if not (isinstance(error, FileUnavailableError) and error.gone):
                return self._file_error(error, file, name)
            self._mirror.remove(file.id)
            self._versions.pop(file.id, None)
            return FileNotFoundError(errno.ENOENT, "is no longer there", name)
        return DownloadError(f"{name} exists, but its content was not found")

    def _refresh(self, file_id: str) -> None:
        """Update one file in the mirror; raises DriveError."""
        self._mirror.put((self._api.file(file_id),))
        file = self._mirror.file(file_id)
        if file is not None and file_id in self._versions:
            retry_version = self._mirror.retry_version(file_id)
            self._versions[file_id] = snapshot_entry(file, retry_version, self._limit_bytes).version

    def recheck_root(self) -> None:
        """Make the next scan check the watched folder first: it may be gone before a change reports it."""
        self._folder = None


class _CredentialsRejectedError(SourceUnavailableError):
    """The credentials are unusable; the message does not name a folder."""

    def end(self, location: str) -> CredentialsError:  # noqa: ARG002
        return CredentialsError(str(self))


def _source_error(error: DriveError) -> SourceUnavailableError:
    """Return the source's error for a Drive error that does not concern a single file."""
    match error:
        case DriveUnavailableError():
            return SourceUnavailableError(str(error), error.retry_seconds, ends_with=DriveError)
        case CredentialsError():
            return _CredentialsRejectedError(str(error), PERSON_SECONDS, ends_with=CredentialsError)
        case RefusedError():
            return SourceUnavailableError(str(error), ends_with=RefusedError)
    return SourceUnavailableError(str(error), ends_with=DriveError)
