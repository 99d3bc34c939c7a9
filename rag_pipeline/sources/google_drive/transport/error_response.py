"""Turns Drive's error answers into exceptions: pure functions over status, headers and body.

Only Drive's own JSON errors count as a statement about a file, a page token or a folder. Any other body comes from
something in between, such as a proxy, and is retried. Only a reason that is known to concern one file
(:mod:`.error_reasons`) is an error of that file; any other is an error of the whole pipeline.
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
_SIGN_IN_AGAIN = "the credentials lack the scope drive.readonly: sign in again"
_CHECK_CREDENTIALS = "check the credentials, and this machine's clock"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error answer.

    code: Drive's reason.
    location: the request parameter that the error is about.
    from_drive: whether the body has the form of Drive's errors.
    """

    status: int
    code: str = ""
    message: str = ""
    location: str = ""
    retry_after: str | None = None
    from_drive: bool = True

    def describe(self) -> str:
        """Return status, reason and message on one line."""
        details = ", ".join(part for part in (self.code, self.message) if part) if self.from_drive else "not by Drive"
        return f"answered {self.status}" + (f" ({details})" if details else "")


def parse_error_response(status: int, headers: Mapping[str, str], body: bytes) -> ErrorResponse:
    """Return the parsed answer; a body without the form of Drive's errors is ignored."""
    retry_after = headers.get("Retry-After")
    try:
        error = json.loads(body)["error"]
        detail = (error.get("errors") or [{}])[0]
        old_reason, new_reason = detail.get("reason"), _new_reason(error)
        # Google's service infrastructure writes "forbidden" in the older form and the real reason in the newer one.
        code = _one_line(
            (new_reason if old_reason in _VAGUE else None) or old_reason or new_reason or error.get("status")
        )
        message, location = _one_line(error.get("message")), _one_line(detail.get("location"))
        return ErrorResponse(status, code, message, location, retry_after)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return ErrorResponse(status, retry_after=retry_after, from_drive=False)


def to_exception(
    response: ErrorResponse, subject: str, *, is_file: bool, has_page_token: bool, daily_seconds: float
) -> Exception:
    """Return the exception to raise: TryAgain for a failure that may soon pass, else the final error.

    The error's message begins with ``subject``. ``is_file``: the request was about one file, so the error may be too.
    """
    status, code = response.status, response.code
    if status == 429 or (status == 403 and code in LIMITS):
        return TryAgain(response.describe(), retry_after=response.retry_after, slow_down=True)
    if status == 403 and code in DAILY_LIMITS:
        return DriveUnavailableError(f"{subject}: the project's limit for today is used up ({code})", daily_seconds)
    if status == 401:
        # Drive sometimes rejects a token that it accepted a moment ago.
        final = CredentialsError(f"{subject}: Google rejects the access token it has issued: {_CHECK_CREDENTIALS}")
        return TryAgain(response.describe(), final=final)
    if status not in _LASTING or not response.from_drive:
        # A 5xx may be caused by this one request. A proxy's answer says nothing about it.
        server_failed = response.from_drive or status >= 500
        return TryAgain(response.describe(), retry_after=response.retry_after, server_failed=server_failed)
    if status == 403 and code in SCOPE_REASONS:
        return CredentialsError(_SIGN_IN_AGAIN)
    if code in PROJECT_REASONS:
        return RefusedError(PROJECT_REASONS[code])
    if has_page_token and _is_about_page_token(response):
        return PageTokenGoneError(f"{subject}: the page token is no longer accepted ({status})")
    file_error = _file_error(response) if is_file else None
    return file_error or RefusedError(f"{subject}: {response.describe()}")


def _is_about_page_token(response: ErrorResponse) -> bool:
    """Return whether the page token was rejected: by a 400 that names it, a 410, or a 404 of anything but the drive."""
    if response.status == 400:
        return response.location == "pageToken" or "page token" in response.message.lower()
    return response.status == 410 or (
        response.status == 404 and response.location not in ("driveId", "teamDriveId", "fileId")
    )


def _file_error(response: ErrorResponse) -> FileUnavailableError | None:
    """Return the error if the answer is known to be about one file."""
    status, code = response.status, response.code
    if status == 404 and code == FILE_NOT_FOUND:
        return FileUnavailableError("is not there, or not shared with these credentials", gone=True, code=code)
    if status == 403 and code in FILE_REASONS:
        retryable = code in PASSING_FILE_REASONS
        return FileUnavailableError(FILE_REASONS[code], gone=False, code=code, retryable=retryable)
    if status == 400 and (
        response.location == "convertTo" or "conversion is not supported" in response.message.lower()
    ):
        code = UNSUPPORTED_CONVERSION
        return FileUnavailableError("can't be exported in this format", gone=False, code=code)
    return None


def _one_line(value: object) -> str:
    return " ".join(str(value or "").split())[:MAX_MESSAGE_CHARACTERS]


def _new_reason(error: Mapping[str, Any]) -> str | None:
    """Return the reason in the newer form of errors, which may lack the list of the older form."""
    return next((detail["reason"] for detail in error.get("details") or () if detail.get("reason")), None)
