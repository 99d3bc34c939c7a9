"""The meaning of each error answer of Drive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.google_drive.errors import (
    CredentialsError,
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
    RefusedError,
)
from rag_pipeline.sources.google_drive.transport.error_reasons import UNSUPPORTED_CONVERSION
from rag_pipeline.sources.google_drive.transport.error_response import ErrorResponse, parse_error_response, to_exception
from rag_pipeline.sources.google_drive.transport.retry import TryAgain


def body(reason: str, message: str = "Why.", **detail: str) -> bytes:
    error = {"code": 403, "message": message, "errors": [{"domain": "global", "reason": reason, **detail}]}
    return json.dumps({"error": error}).encode()


def failure(status: int, reason: str = "", *, location: str = "", **about: Any) -> Exception:
    options = {"is_file": False, "has_page_token": False, "daily_seconds": 3600.0, **about}
    return to_exception(ErrorResponse(status, reason, "Why.", location, "7"), "a.txt", **options)


def test_both_forms_of_drive_errors_are_parsed() -> None:
    old = parse_error_response(403, {"Retry-After": "3"}, body("userRateLimitExceeded", "Slow\n down.", location="q"))
    assert old == ErrorResponse(403, "userRateLimitExceeded", "Slow down.", "q", "3")
    new = {"error": {"message": "Off.", "status": "PERMISSION_DENIED", "details": [{}, {"reason": "SERVICE_DISABLED"}]}}
    assert parse_error_response(403, {}, json.dumps(new).encode()).code == "SERVICE_DISABLED"
    assert parse_error_response(403, {}, b'{"error": {"status": "PERMISSION_DENIED"}}').code == "PERMISSION_DENIED"
    both = {"error": {"errors": [{"reason": "forbidden"}], "details": [{"reason": "CONSUMER_SUSPENDED"}]}}
    assert parse_error_response(403, {}, json.dumps(both).encode()).code == "CONSUMER_SUSPENDED"


_values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["errors", "reason", "message", "details", "status"]), inner)
    ),
    max_leaves=8,
)


@given(st.binary() | st.builds(lambda value: json.dumps({"error": value}).encode(), _values))
def test_a_body_without_an_error_is_ignored(data: bytes) -> None:
    refusal = parse_error_response(502, {}, data)
    assert refusal.status == 502
    assert "\n" not in refusal.describe()


def test_a_long_message_is_cut() -> None:
    assert len(parse_error_response(403, {}, body("x", "y" * 10_000)).describe()) < 300


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, ""), (429, "rateLimitExceeded"), (403, "rateLimitExceeded"), (403, "userRateLimitExceeded")],
)
def test_a_rate_limit_slows_down_all_threads(status: int, reason: str) -> None:
    again = failure(status, reason, is_file=True)
    assert isinstance(again, TryAgain)
    assert again.slow_down
    assert again.retry_after == "7"
    assert not again.server_failed


@pytest.mark.parametrize("status", [300, 302, 304, 405, 407, 408, 409, 412, 451, 500, 502, 503, 504])
def test_server_errors_and_unknown_statuses_are_retried(status: int) -> None:
    again = failure(status, "backendError", is_file=True)
    assert isinstance(again, TryAgain)
    assert again.server_failed
    assert not again.slow_down


def test_a_daily_limit_is_retried_much_later() -> None:
    error = failure(403, "dailyLimitExceeded", is_file=True)
    assert isinstance(error, DriveUnavailableError)
    assert error.retry_seconds == 3600.0


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("accessNotConfigured", "is not enabled in the credentials' project: enable it at https://"),
        ("SERVICE_DISABLED", "is not enabled in the credentials' project: enable it at https://"),
        ("BILLING_DISABLED", "billing is off"),
        ("CONSUMER_SUSPENDED", "has suspended the credentials' project"),
        ("SECURITY_POLICY_VIOLATED", "security policy"),
        ("domainPolicy", "administrators"),
    ],
)
def test_a_project_error_says_what_to_do_even_for_a_request_of_a_file(reason: str, says: str) -> None:
    error = failure(403, reason, is_file=True)
    assert isinstance(error, RefusedError)
    assert says in str(error)


def test_a_missing_scope_is_a_credentials_error() -> None:
    error = failure(403, "insufficientPermissions", is_file=True)
    assert isinstance(error, CredentialsError)
    assert "lack the scope drive.readonly" in str(error)


def test_a_rejected_token_is_retried_before_it_is_a_credentials_error() -> None:
    again = failure(401, "authError", is_file=True)
    assert isinstance(again, TryAgain)
    assert isinstance(again.final, CredentialsError)
    assert "rejects the access token" in str(again.final)


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("cannotDownloadAbusiveFile", "was marked by Google as malware or spam, and is not downloaded"),
        ("insufficientFilePermissions", "may not be read by these credentials"),
    ],
)
def test_a_403_with_a_file_reason_is_an_error_of_the_file(reason: str, says: str) -> None:
    error = failure(403, reason, is_file=True)
    assert isinstance(error, FileUnavailableError)
    assert (str(error), error.gone, error.retryable) == (says, False, False)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((403, reason) for reason in ("forbidden", "PERMISSION_DENIED", "failedPrecondition", "somethingNew", "")),
        *((400, reason) for reason in ("failedPrecondition", "badRequest", "invalid", "cannotDownloadFile")),
        *((404, reason) for reason in ("NOT_FOUND", "domainNotFound", "")),
        (410, "notFound"),
    ],
)
def test_an_unknown_reason_is_not_an_error_of_the_file(status: int, reason: str) -> None:
    error = failure(status, reason, is_file=True)
    assert type(error) is RefusedError
    assert str(error).startswith(f"a.txt: answered {status} (")


def test_a_download_quota_is_retryable() -> None:
    error = failure(403, "downloadQuotaExceeded", is_file=True)
    assert isinstance(error, FileUnavailableError)
    assert error.retryable


def test_a_file_that_is_not_found_is_gone_but_not_one_with_a_refused_format() -> None:
    gone = failure(404, "notFound", is_file=True)
    refused = failure(400, "badRequest", location="convertTo", is_file=True)
    assert isinstance(gone, FileUnavailableError)
    assert gone.gone
    assert isinstance(refused, FileUnavailableError)
    assert (refused.gone, refused.code) == (False, UNSUPPORTED_CONVERSION)


@pytest.mark.parametrize(("status", "location"), [(410, ""), (400, "pageToken"), (404, ""), (404, "pageToken")])
def test_an_expired_page_token_is_recognised(status: int, location: str) -> None:
    about_token = failure(status, "invalid", location=location, has_page_token=True, is_file=True)
    assert isinstance(about_token, PageTokenGoneError)
    assert not isinstance(failure(status, "invalid", location=location), PageTokenGoneError)


@pytest.mark.parametrize(("status", "location"), [(404, "driveId"), (404, "fileId")])
def test_a_missing_drive_or_folder_is_not_a_page_token_error(status: int, location: str) -> None:
    error = failure(status, "notFound", location=location, has_page_token=True, is_file=True)
    assert isinstance(error, FileUnavailableError)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
@pytest.mark.parametrize("page", [b"", b"<html>Sign in</html>", b'{"error": "denied"}', b'["error"]'])
@pytest.mark.parametrize("has_page_token", [True, False])
def test_an_answer_that_is_not_from_drive_concerns_no_file_and_no_page_token(
    status: int, page: bytes, has_page_token: bool
) -> None:
    refusal = parse_error_response(status, {}, page)
    again = to_exception(refusal, "a.txt", is_file=True, has_page_token=has_page_token, daily_seconds=1.0)
    assert isinstance(again, TryAgain)
    assert not again.server_failed  # so that it is not a failure of the file
    assert again.reason == f"answered {status} (not by Drive)"


@pytest.mark.parametrize("status", [400, 403, 404])
def test_any_other_refusal_names_the_subject_and_the_answer(status: int) -> None:
    error = failure(status, "odd")
    assert type(error) is RefusedError
    assert str(error) == f"a.txt: answered {status} (odd, Why.)"
