"""Errors of Google Drive.

DriveError (RuntimeError)          Drive refused a request, or its answer is unusable
├── CredentialsError               the credentials are unusable; the message says what to do
│   └── CredentialsSettingError    a setting names none, or has a bad value; Google was not asked
├── DriveUnavailableError          a network failure, a failure of Drive or a limit, after all attempts
├── RefusedError                   Drive refuses the project or the account, or refuses for an unknown reason
├── PageTokenGoneError             the page token has expired: list again from the start
├── FileUnavailableError           one file is missing, or Drive refuses its content
└── DownloadError                  a download is damaged or can't be written; a later attempt may succeed

A message is one sentence, and never holds a token or a key.
"""

from __future__ import annotations

from rag_pipeline.errors import ExitCode, RagPipelineError


class DriveError(RagPipelineError, RuntimeError):
    """Drive refused a request, or its answer is unusable."""

    exit_code = ExitCode.UNREACHABLE


class CredentialsError(DriveError):
    """The credentials are missing, malformed, revoked or insufficient; the message says what to do."""

    exit_code = ExitCode.ACCESS


class CredentialsSettingError(CredentialsError):
    """A setting of the credentials is missing or has a bad value, or its file can't be used; Google was not asked."""

    exit_code = ExitCode.USAGE


class DriveUnavailableError(DriveError):
    """Drive is unavailable for now; ``retry_seconds`` is how long to leave it alone.

    ``server_failed``: Drive was reached and failed by itself, possibly because of this one request.
    """

    retryable = True

    def __init__(self, message: str, retry_seconds: float, *, server_failed: bool = False) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.server_failed = server_failed


class RefusedError(DriveError):
    """Drive refuses the project or the account, or refuses for a reason that is not known to concern one file.

    It may pass: an API is enabled, a bill is paid, a policy is changed. The message says what to do if that is known.
    """

    exit_code = ExitCode.ACCESS


class PageTokenGoneError(DriveError):
    """Drive no longer accepts a page token."""


class FileUnavailableError(DriveError):
    """A file does not exist or is not visible (``gone``), or Drive refuses its content.

    ``reason`` completes a sentence that begins with the file's name; ``code`` is Drive's own reason, such as
    ``cannotDownloadAbusiveFile``.
    """

    def __init__(self, reason: str, *, gone: bool, code: str = "", retryable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone
        self.code = code
        self.retryable = retryable


class DownloadError(DriveError):
    """A download is damaged after several attempts, or can't be written to disk."""

    retryable = True
