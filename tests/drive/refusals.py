"""What Drive says when it refuses: the JSON of its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MESSAGES = {
    "appNotAuthorizedToFile": "The user has not granted the app access to the file.",
    "authError": "Invalid Credentials",
    "backendError": "Backend Error",
    "cannotDownloadAbusiveFile": "This file has been identified as malware or spam and cannot be downloaded.",
    "cannotDownloadFile": "This file cannot be downloaded by the user.",
    "cannotExportFile": "This file cannot be exported by the user.",
    "dailyLimitExceeded": "Daily Limit Exceeded",
    "domainPolicy": "The domain administrators have disabled Drive apps.",
    "downloadQuotaExceeded": "The download quota for this file has been exceeded.",
    "exportSizeLimitExceeded": "This file is too large to be exported.",
    "fileNotDownloadable": "Only files with binary content can be downloaded. Use Export with Docs Editors files.",
    "fileNotExportable": "Export only supports Docs Editors files.",
    "insufficientFilePermissions": "The user does not have sufficient permissions for this file.",
    "insufficientPermissions": "Request had insufficient authentication scopes.",
    "invalid": "Invalid Value",
    "quotaExceeded": "Quota exceeded.",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "requestedRangeNotSatisfiable": "Request range not satisfiable",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
}


class RefusalError(Exception):
    """An answer that is an error: its status, reason and message, and the parameter it is about, if any."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str | None = None,
        *,
        location: str | None = None,
        location_type: str = "parameter",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message or MESSAGES.get(reason, reason)
        self.location = location
        self.location_type = location_type
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """Return the JSON that says it."""
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location is not None:
            error |= {"location": self.location, "locationType": self.location_type}
        return {"error": {"code": self.status, "message": self.message, "errors": [error]}}


class ViolationError(RefusalError):
    """A request that Drive v3 does not know, or that the tests' Drive does not have: the test is to fail."""


def file_not_found(file_id: str) -> RefusalError:
    """Return the refusal of a file that is not there, or that the principal can't see: Drive doesn't say which."""
    return RefusalError(404, "notFound", f"File not found: {file_id}.", location="fileId")


def invalid(parameter: str, message: str | None = None) -> RefusalError:
    """Return the refusal of a parameter's value."""
    return RefusalError(400, "invalid", message, location=parameter)


def unauthorized() -> RefusalError:
    """Return the refusal of an access token that is unknown or has expired."""
    return RefusalError(
        401,
        "authError",
        location="Authorization",
        location_type="header",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
    )
