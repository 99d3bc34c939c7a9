"""What an answer means that is no success: pure functions over status, headers and body.

Only what Drive says itself, in the JSON of its errors, is believed of a file, a page token or a folder. Whatever else
comes under such a status is of something in between, and passes. Only a reason that is known to be about one file
(:mod:`.error_reasons`) is a refusal of that file; any other is trouble of the pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag_pipeline.sources.google_drive.errors import (
    CredentialsError,
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
    RefusedError,
)
from rag_pipeline.sources.google_drive.transport.error_reasons import (
    DAILY_LIMITS,
    FILE_NOT_FOUND,
    FILE_REASONS,
    LIMITS,
    PASSING_FILE_REASONS,
    PROJECT_REASONS,
    SCOPE_REASONS,
    UNSUPPORTED_CONVERSION,
)
from rag_pipeline.sources.google_drive.transport.retry import TryAgain

MAX_MESSAGE_CHARACTERS = 200

_LASTING = frozenset({400, 403, 404, 410})
_VAGUE = frozenset({"badRequest", "failedPrecondition", "forbidden"})
_SIGN_IN_AGAIN = "the credentials were given without the scope drive.readonly: sign in again"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
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


def parse_error_response(status: int, headers: Mapping[str, str], body: bytes) -> ErrorResponse:
    """Return what the answer says; a body in another form than that of Drive's errors says nothing."""
    header = headers.get("Retry-After")
    try:
        error = json.loads(body)["error"]
        detail = (error.get("errors") or [{}])[0]
        plain, detailed = detail.get("reason"), _detailed(error)
        # Google's service infrastructure says "forbidden" in the older form and the reason in the newer one.
        code = _line((detailed if plain in _VAGUE else None) or plain or detailed or error.get("status"))
        return ErrorResponse(status, code, _line(error.get("message")), _line(detail.get("location")), header)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return ErrorResponse(status, retry_after=header, of_drive=False)


def to_exception(
    refusal: ErrorResponse, what: str, *, is_file: bool, has_page_token: bool, daily_seconds: float
) -> Exception:
    """Return what to raise: TryAgain for what passes soon, else the error.

    ``what`` begins the error's sentence. ``is_file``: the request was about one file, and a refusal may be of that one.
    """
    status, code = refusal.status, refusal.code
    if status == 429 or (status == 403 and code in LIMITS):
        return TryAgain(refusal.describe(), header=refusal.retry_after, slow_down=True)
    if status == 403 and code in DAILY_LIMITS:
        return DriveUnavailableError(f"{what}: the project's limit for today is used up ({code})", daily_seconds)
    if status == 401:
        # Also a token that was had a moment ago; Drive is not always of one mind about that.
        final = CredentialsError(f"{what}: Google does not accept the access token it has given: {_AGAIN}")
        return TryAgain(refusal.describe(), final=final)
    if status not in _LASTING or not refusal.of_drive:
        # A server that fails may do so over this one request. What a proxy refuses says nothing of it.
        failed = refusal.of_drive or status >= 500
        return TryAgain(refusal.describe(), header=refusal.retry_after, server_failed=failed)
    if status == 403 and code in SCOPE_REASONS:
        return CredentialsError(_SIGN_IN_AGAIN)
    if code in PROJECT_REASONS:
        return RefusedError(PROJECT_REASONS[code])
    if has_page_token and _is_about_token(refusal):
        return PageTokenGoneError(f"{what}: the page token is no longer accepted ({status})")
    refused = _file_error(refusal) if is_file else None
    return refused or RefusedError(f"{what}: {refusal.describe()}")


_AGAIN = "check the credentials, and this machine's clock"


def _is_about_token(refusal: ErrorResponse) -> bool:
    """Return whether the page token was refused: a 400 names it, 410 says so, and 404 means nothing else there.

    Except where a shared drive is what can't be found.
    """
    if refusal.status == 400:
        return refusal.location == "pageToken" or "page token" in refusal.message.lower()
    return refusal.status == 410 or (
        refusal.status == 404 and refusal.location not in ("driveId", "teamDriveId", "fileId")
    )


def _file_error(refusal: ErrorResponse) -> FileUnavailableError | None:
    """Return the error for a refusal that is known to be about one file, None for any other."""
    status, code = refusal.status, refusal.code
    if status == 404 and code == FILE_NOT_FOUND:
        return FileUnavailableError("is not there, or not shared with these credentials", gone=True, code=code)
    if status == 403 and code in FILE_REASONS:
        passes = code in PASSING_FILE_REASONS
        return FileUnavailableError(FILE_REASONS[code], gone=False, code=code, retryable=passes)
    if status == 400 and (refusal.location == "convertTo" or "conversion is not supported" in refusal.message.lower()):
        code = UNSUPPORTED_CONVERSION
        return FileUnavailableError("can't be exported in this format", gone=False, code=code)
    return None


def _line(value: object) -> str:
    return " ".join(str(value or "").split())[:MAX_MESSAGE_CHARACTERS]


def _detailed(error: Mapping[str, Any]) -> str | None:
    """Return the reason in the newer form of errors, which may have no list of the older."""
    return next((detail["reason"] for detail in error.get("details") or () if detail.get("reason")), None)
