"""What an answer means that is no success: pure functions over status, headers and body.

Only what Drive says itself, in the JSON of its errors, is believed of a file, a page token or a folder. Whatever else
comes under such a status is of something in between, and passes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag_pipeline.pipelines.google_drive.errors import (
    CredentialsError,
    DriveError,
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
)
from rag_pipeline.pipelines.google_drive.retry import TryAgain

MAX_MESSAGE_CHARACTERS = 200

_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_DAILY_LIMITS = frozenset({"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded"})
_PROJECT = {
    "accessNotConfigured": "the Google Drive API is not enabled in the credentials' project: enable it at "
    "https://console.cloud.google.com/apis/library/drive.googleapis.com",
    "SERVICE_DISABLED": "the Google Drive API is not enabled in the credentials' project: enable it at "
    "https://console.cloud.google.com/apis/library/drive.googleapis.com",
    "insufficientPermissions": "the credentials were given without the scope drive.readonly: sign in again",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "the credentials were given without the scope drive.readonly: sign in again",
    "domainPolicy": "the administrators of the domain do not allow this app to see Drive: ask them",
}
_FILE_REASONS = {
    "cannotDownloadAbusiveFile": "was marked by Google as malware or spam, and is not downloaded",
    "cannotExportFile": "may not be exported by these credentials",
    "cannotDownloadFile": "may not be downloaded by these credentials",
    "downloadQuotaExceeded": "was downloaded too often lately; Google allows it again later",
    "fileNotDownloadable": "has no content that can be downloaded",
    "fileNotExportable": "has no content that can be exported",
    "exportSizeLimitExceeded": "is too large to be exported",
    "insufficientFilePermissions": "may not be read by these credentials",
    "appNotAuthorizedToFile": "may not be read by this app",
}
_PASSES = frozenset({"downloadQuotaExceeded"})
_LASTING = frozenset({400, 403, 404, 410})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success; ``code`` is Drive's word for why, ``location`` the parameter it is about.

    ``of_drive`` is whether it has the form of Drive's errors.
    """

    status: int
    code: str = ""
    message: str = ""
    location: str = ""
    retry_after: str | None = None
    of_drive: bool = True

    def describe(self) -> str:
        """Return status, word and message on one line."""
        about = ", ".join(part for part in (self.code, self.message) if part) if self.of_drive else "not by Drive"
        return f"answered {self.status}" + (f" ({about})" if about else "")


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Return what the answer says; a body in another form than that of Drive's errors says nothing."""
    header = headers.get("Retry-After")
    try:
        error = json.loads(body)["error"]
        detail = (error.get("errors") or [{}])[0]
        code = _line(detail.get("reason") or _detailed(error) or error.get("status"))
        return Refusal(status, code, _line(error.get("message")), _line(detail.get("location")), header)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return Refusal(status, retry_after=header, of_drive=False)


def failure_of(refusal: Refusal, what: str, *, is_file: bool, has_page_token: bool, daily_seconds: float) -> Exception:
    """Return what to raise: TryAgain for what passes soon, else the error.

    ``what`` begins the error's sentence. ``is_file``: the request was about one file, and a refusal is about that one.
    """
    status, code = refusal.status, refusal.code
    if status == 429 or (status == 403 and code in _LIMITS):
        return TryAgain(refusal.describe(), header=refusal.retry_after, slow_down=True)
    if status == 403 and code in _DAILY_LIMITS:
        return DriveUnavailableError(f"{what}: the project's limit for today is used up ({code})", daily_seconds)
    if status == 401:
        # Also a token that was had a moment ago; Drive is not always of one mind about that.
        final = CredentialsError(f"{what}: Google does not accept the access token it has given: {_AGAIN}")
        return TryAgain(refusal.describe(), final=final)
    if status not in _LASTING or not refusal.of_drive:
        return TryAgain(refusal.describe(), header=refusal.retry_after, server_failed=True)
    if status == 403 and code in _PROJECT:
        return CredentialsError(_PROJECT[code])
    if has_page_token and _is_about_token(refusal):
        return PageTokenGoneError(f"{what}: the page token is no longer accepted ({status})")
    if is_file:
        return _file_error(refusal)
    return DriveError(f"{what}: {refusal.describe()}")


_AGAIN = "check the credentials, and this machine's clock"


def _is_about_token(refusal: Refusal) -> bool:
    """Return whether the page token was refused: a 400 names it, 410 says so, and 404 means nothing else there.

    Except where a shared drive is what can't be found.
    """
    if refusal.status == 400:
        return refusal.location == "pageToken" or "page token" in refusal.message.lower()
    return refusal.status == 410 or (
        refusal.status == 404 and refusal.location not in ("driveId", "teamDriveId", "fileId")
    )


def _file_error(refusal: Refusal) -> FileUnavailableError:
    code = refusal.code
    if refusal.status in (404, 410):
        return FileUnavailableError("is not there, or not shared with these credentials", gone=True, code=code)
    reason = _FILE_REASONS.get(code, f"is refused by Google Drive ({code or refusal.message or refusal.status})")
    return FileUnavailableError(reason, gone=False, code=code, retryable=code in _PASSES)


def _line(value: object) -> str:
    return " ".join(str(value or "").split())[:MAX_MESSAGE_CHARACTERS]


def _detailed(error: Mapping[str, Any]) -> str | None:
    """Return the reason in the newer form of errors, which may have no list of the older."""
    return next((detail["reason"] for detail in error.get("details") or () if detail.get("reason")), None)
