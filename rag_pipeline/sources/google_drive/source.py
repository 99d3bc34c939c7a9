"""A folder in Google Drive, as the source of a pipeline: the mirror is brought up to date, and is the truth."""

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
"""The longest time between two tries: for what only a person can mend, such as credentials that were revoked."""


class GoogleDriveSource:
    """Follows the folder ``folder_id``; the :class:`~rag_pipeline.sources.source.Source` of google_drive.

    ``location`` names it in the ledger; ``limit_bytes`` is the size up to which files are fetched, into ``spool``.
    ``account`` tells one who sees Drive from another. ``api`` and ``mirror`` belong to the caller.
    """

    kind = PIPELINE_TYPE
    transfers = True
    settle_seconds = 0.0

    def __init__(
        self,
        api: DriveApi,
        mirror: Mirror,
        spool: DownloadFolder,
        folder_id: str,
        *,
        location: str,
        account: str,
        limit_bytes: int,
    ) -> None:
        self.location = location
        self._api = api
        self._mirror = mirror
        self._spool = spool
        self._folder_id = folder_id
        self._account = account
        self._limit_bytes = limit_bytes
        self._listing = Listing(api, mirror)
        self._departures = DeletionCheck(api, mirror)
        self._folder: DriveFile | None = None
        self._found: tuple[int, Snapshot] | None = None
        self._versions: dict[str, str] = {}

    @property
    def status_fields(self) -> Mapping[str, object]:
        """The folder's name, once it is known."""
        return {"folder": self._folder_id if self._folder is None else self._folder.name}

    def watch(self, wake: Callable[[], None], stop: threading.Event) -> ChangeWatcher | None:  # noqa: ARG002
        """Return None: Drive tells of changes to those who ask."""
        return None

    # -- what is there ---------------------------------------------------------------------------------------------

    def scan(self, check: Check) -> Snapshot:
        """Bring the mirror up to date, with one request if nothing has changed, and return what is in it."""
        with self._telling_trouble():
            self._update(check)
        return self._read()

    def _confirm(self, missing: Collection[str], check: Check) -> Snapshot:
        """Ask about known files that were not found: a listing may not have shown them."""
        with self._telling_trouble():
            before = self._departures.left_open
            self._departures.confirm(missing, check)
            new = len(self._departures.left_open - before)
        if new:
            logger.info(
                "%s: %d files are out of sight; their text is kept until Drive says that they are gone",
                self.location,
                new,
            )
        return self._read()

    @contextmanager
    def _telling_trouble(self) -> Iterator[None]:
        try:
            yield
        except SourceUnavailableError as error:
            self._folder = None
            if not self._was_seen:
                # It never was there for this account: rather a mistake than a trouble that passes.
                share = f" (it can be shared with {self._account})" if "@" in self._account else ""
                raise ConfigurationError(f"{self.location}: {error}{share}") from None
            self._mirror.miss()
            raise
        except (CredentialsError, DriveUnavailableError, RefusedError) as error:
            if isinstance(error, CredentialsError) and not self._was_seen:
                raise  # they never worked: rather a mistake than a trouble that passes
            raise _trouble(error) from None
        except DriveError as error:
            self._folder = None
            self._mirror.miss()
            # A folder or its shared drive that is gone while it is listed.
            said = f"the folder {error.reason}" if isinstance(error, FileUnavailableError) else str(error)
            raise SourceUnavailableError(said, ends_with=DriveError) from None

    @property
    def _was_seen(self) -> bool:
        """Whether this account has seen the folder before."""
        position = self._mirror.position
        return position is not None and position.account == self._account

    def _update(self, check: Check) -> None:
        passes = 0
        self._departures.begin()
        while True:
            if self._folder is None:
                self._folder = watched_folder.find_folder(self._api, self._folder_id, check)
            if not self._goes_on(self._folder):
                passes += 1
                if passes > MAX_PASSES:
                    raise DriveError("Google Drive refuses the page tokens that it gives")
                self._begin(self._folder, check)
            self._listing.run(self._folder.drive_id, check)
            if not self._follow(self._folder.drive_id, check):
                # It may be trashed, moved, not shared any more, or shared anew.
                self._folder = None
                continue
            shortcuts.resolve(self._api, self._mirror, self._folder.drive_id, check)
            if not self._departures.recheck(check) and not self._mirror.unlisted(1):
                break
        self._mirror.tidy()

    def _goes_on(self, found: DriveFile) -> bool:
        """Return whether the mirror is of this folder, as this account sees it, and has missed nothing."""
        position = self._mirror.position
        expected = found.id, found.drive_id, self._account
        return position is not None and not position.missed and position[:3] == expected

    def _begin(self, found: DriveFile, check: Check) -> None:
        # First of all, so that whatever changes while the folders are listed is told afterwards.
        token = self._api.start_page_token(found.drive_id, check)
        self._mirror.begin(found, watched_folder.ancestors(self._api, found, check), self._account, token)

    def _follow(self, drive_id: str | None, check: Check) -> bool:
        """Take in the changes; returns whether they tell everything."""
        try:
            changes.apply_changes(self._api, self._mirror, drive_id, check)
        except PageTokenGoneError as error:
            logger.info("%s: all folders are listed again, and no file is done again", error)
            self._mirror.miss()
        position = self._mirror.position
        return position is not None and not position.missed

    def _read(self) -> Snapshot:
        revision = self._mirror.revision
        if self._found is None or self._found[0] != revision:
            found = build_snapshot(self._mirror, self._limit_bytes)._replace(
                may_exist=lambda key: not self._departures.is_gone(key),
                is_gone=self._departures.is_gone,
                confirm_missing=self._confirm,
            )
            self._found = revision, found
            files = {key: file.version for key, file in found.files.items()}
            self._versions = files | {key: odd.version for key, odd in found.unreadable.items()}
        return self._found[1]

    # -- one file --------------------------------------------------------------------------------------------------

    def version_now(self, file: FoundFile) -> str:
        """Return the version that the mirror has; a request is not worth it.

        Of what is there and no longer to be read that is the reason, so that the next look shows it as such.
        """
        try:
            return self._versions[file.file_id]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "is no longer in the folder", file.name) from None

    @contextmanager
    def fetch(self, file: FoundFile, on_progress: ProgressCallback, check: Check) -> Iterator[OpenFile]:
        """Have the file's content on this machine for as long as the block lasts."""
        known = self._mirror.file(file.file_id)
        if known is None:
            raise FileNotFoundError(errno.ENOENT, "is no longer in the folder", file.name)
        with ExitStack() as stack:
            fetching = local_copy(
                self._api, self._spool, known, limit_bytes=self._limit_bytes, on_progress=on_progress, check=check
            )
            try:
                path = stack.enter_context(fetching)
            except DriveError as error:
                raise self._failure(error, known, file.name) from None
            yield stack.enter_context(open_local(str(path)))

    def _failure(self, error: DriveError, file: DriveFile, name: str) -> Exception:
        """Return what an error of Drive's means for the work on a file."""
        match error:
            case FileUnavailableError(gone=True):
                return self._without_content(file, name)
            case FileUnavailableError(retryable=False):
                self._mirror.refuse(file.id)
                return SkippedError(f"{name} {error.reason}")
            case FileUnavailableError():
                return DownloadError(f"{name} {error.reason}")
            case DownloadError():
                # It may not be what was expected because there is a newer one.
                with suppress(DriveError):
                    self._look_again(file.id)
                return error
        return _trouble(error)

    def _without_content(self, file: DriveFile, name: str) -> Exception:
        """Return what it means that a content was not found: of a file that is there, that passes."""
        try:
            self._look_again(file.id)
        except DriveError as error:
            if not (isinstance(error, FileUnavailableError) and error.gone):
                return self._failure(error, file, name)
            self._mirror.remove(file.id)
            self._versions.pop(file.id, None)
            return FileNotFoundError(errno.ENOENT, "is no longer there", name)
        return DownloadError(f"{name} is there, but its content was not found")

    def _look_again(self, file_id: str) -> None:
        """Take in what Drive says of a file now; raises DriveError."""
        self._mirror.put((self._api.file(file_id),))
        known = self._mirror.file(file_id)
        if known is not None and file_id in self._versions:
            self._versions[file_id] = snapshot_entry(known, self._mirror.retried(file_id), self._limit_bytes).version

    def recheck_root(self) -> None:
        """Have the next look ask for the folder itself first: it may be gone before any change tells of it."""
        self._folder = None


class _CredentialsTroubleError(SourceUnavailableError):
    """The credentials can't be used: a matter of no folder."""

    def end(self, place: str) -> CredentialsError:  # noqa: ARG002
        return CredentialsError(str(self))


def _trouble(error: DriveError) -> SourceUnavailableError:
    """Return the trouble of the pipeline that an error is which is not known to be about one file."""
    match error:
        case DriveUnavailableError():
            return SourceUnavailableError(str(error), error.retry_seconds, ends_with=DriveError)
        case CredentialsError():
            return _CredentialsTroubleError(str(error), PERSON_SECONDS, ends_with=CredentialsError)
        case RefusedError():
            return SourceUnavailableError(str(error), ends_with=RefusedError)
    return SourceUnavailableError(str(error), ends_with=DriveError)
