"""What can go wrong between a pipeline and Google Drive.

DriveError (RuntimeError)          Drive refused something, or answered with what can't be used
├── CredentialsError               who asks: the credentials can't be used; the message says what to do about it
├── DriveUnavailableError          for now: the network, Drive's own failures, and its limits, after all tries
├── RefusedError                   the project, the account, or nobody knows: it is no matter of one file
├── PageTokenGoneError             the page token: list again from the start
├── FileUnavailableError           this one file, and no other
└── DownloadError                  the content of a file came damaged, or could not be written down; try again later

A message is one sentence, and never holds a token or a key.
"""

from __future__ import annotations

from rag_pipeline.errors import ExitCode, RagPipelineError


class DriveError(RagPipelineError, RuntimeError):
    """Drive refused a request, or its answer can't be used."""

    exit_code = ExitCode.UNREACHABLE


class CredentialsError(DriveError):
    """The credentials are missing, malformed, revoked or not enough; the message says what to do."""

    exit_code = ExitCode.ACCESS


class DriveUnavailableError(DriveError):
    """Drive can't be had at the moment; ``retry_seconds`` is how long to leave it alone.

    ``server_failed`` if it was there, and failed by itself: what was asked for may be the reason.
    """

    retryable = True

    def __init__(self, message: str, retry_seconds: float, *, server_failed: bool = False) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.server_failed = server_failed


class RefusedError(DriveError):
    """Drive refuses the project or the account, or refuses for a reason that is not known to be about one file.

    It may pass: an API is enabled, a bill is paid, a policy is changed. The message says what to do, where that is
    known.
    """

    exit_code = ExitCode.ACCESS


class PageTokenGoneError(DriveError):
    """Drive no longer accepts a page token."""


class FileUnavailableError(DriveError):
    """A file can't be had: it is not there or not ours to see (``gone``), or Drive refuses its content.

    ``reason`` completes a sentence that begins with the file's name; ``code`` is Drive's own word, such as
    ``cannotDownloadAbusiveFile``.
    """

    def __init__(self, reason: str, *, gone: bool, code: str = "", retryable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone
        self.code = code
        self.retryable = retryable


class DownloadError(DriveError):
    """A file's content came damaged or as something else, again and again, or there was no room for it."""

    retryable = True
