"""Drive's error reasons: the closed lists that this pipeline knows.

A reason that is in no list may concern the whole project, so it makes the pipeline wait and fails no file.

Sources:

- "Resolve errors", https://developers.google.com/workspace/drive/api/guides/handle-errors
- "Download and export files", https://developers.google.com/workspace/drive/api/guides/manage-downloads
- ``google.api.ErrorReason``, for the reasons in capitals, which are those of Google's service infrastructure and always
  about the project or the account: https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto

Three are undocumented, but the API sends them: ``cannotDownloadFile`` and ``cannotExportFile`` (the owner has turned
off download, print and copy), and ``downloadQuotaExceeded``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FILE_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "appNotAuthorizedToFile": "may not be read by this app",
        "cannotDownloadAbusiveFile": "was marked by Google as malware or spam, and is not downloaded",
        "cannotDownloadFile": "may not be downloaded by these credentials",
        "cannotExportFile": "may not be exported by these credentials",
        "downloadQuotaExceeded": "was downloaded too often lately; Google allows it again later",
        "exportSizeLimitExceeded": "is too large to be exported",
        "fileNotDownloadable": "has no content that can be downloaded",
        "fileNotExportable": "has no content that can be exported",
        "insufficientFilePermissions": "may not be read by these credentials",
    }
)
"""The only reasons of a 403 that concern the requested file alone; each text completes "<name> …"."""

PASSING_FILE_REASONS = frozenset({"downloadQuotaExceeded"})
"""The reasons of :data:`FILE_REASONS` that pass by themselves."""

FILE_NOT_FOUND = "notFound"
"""The only reason of a 404 that means that a file does not exist, or that these credentials may not see it."""

UNSUPPORTED_CONVERSION = "unsupportedConversion"
"""Our own code for Drive's 400 to an export format that it does not offer for the file."""

LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
"""Too many requests at the moment."""

DAILY_LIMITS = frozenset({"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded", "RESOURCE_QUOTA_EXCEEDED"})
"""Too many requests for today."""

SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
"""The token was granted for another scope: only a new sign-in helps."""

_ENABLE = (
    "the Google Drive API is not enabled in the credentials' project: enable it at "
    "https://console.cloud.google.com/apis/library/drive.googleapis.com"
)
_SUSPENDED = "Google has suspended the credentials' project: see the notice in https://console.cloud.google.com"
_POLICY = (
    "a security policy of the organization does not allow these requests (VPC Service Controls): ask its administrators"
)

PROJECT_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "accessNotConfigured": _ENABLE,
        "SERVICE_DISABLED": _ENABLE,
        "BILLING_DISABLED": "billing is off for the credentials' project: turn it on at "
        "https://console.cloud.google.com/billing",
        "CONSUMER_SUSPENDED": _SUSPENDED,
        "GCP_SUSPENDED": _SUSPENDED,
        "CONSUMER_INVALID": "the credentials' project is not there any more: use a key of another one",
        "SECURITY_POLICY_VIOLATED": _POLICY,
        "ORG_RESTRICTION_VIOLATION": _POLICY,
        "ACCOUNT_STATE_INVALID": "the account of the credentials is disabled or suspended: ask its administrators",
        "USER_BLOCKED_BY_ADMIN": "the administrators of the domain do not allow this app to see Drive: ask them",
        "domainPolicy": "the administrators of the domain do not allow this app to see Drive: ask them",
    }
)
"""Known reasons that concern the project or the account, with what to do. The list need not be complete."""
