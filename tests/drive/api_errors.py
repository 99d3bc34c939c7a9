"""Drive's error responses."""

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


class ApiError(Exception):
    """An error response: status, reason, message, and the parameter it is about, if any."""

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
        """Return the error as JSON."""
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location is not None:
            error |= {"location": self.location, "locationType": self.location_type}
        return {"error": {"code": self.status, "message": self.message, "errors": [error]}}


class ViolationError(ApiError):
    """A request that Drive v3 does not know, or that is not modelled: the test must fail."""


def file_not_found(file_id: str) -> ApiError:
    """Return the error for a file that does not exist or is invisible; Drive does not say which."""
    return ApiError(404, "notFound", f"File not found: {file_id}.", location="fileId")


def invalid(parameter: str, message: str | None = None) -> ApiError:
    """Return the error for an invalid parameter."""
    return ApiError(400, "invalid", message, location=parameter)


def unauthorized() -> ApiError:
    """Return the error for an unknown or expired access token."""
    return ApiError(
        401,
        "authError",
        location="Authorization",
        location_type="header",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
    )
