"""The errors of Google Drive."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.sources.google_drive import errors
from rag_pipeline.sources.google_drive.errors import (
    CredentialsError,
    CredentialsSettingError,
    DownloadError,
    DriveError,
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
)


def test_every_error_is_a_package_error_and_a_runtime_error() -> None:
    for kind in (CredentialsError, DownloadError, DriveUnavailableError, FileUnavailableError, PageTokenGoneError):
        assert issubclass(kind, DriveError)
        assert kind.__name__ in (errors.__doc__ or "")
    assert issubclass(DriveError, RagPipelineError)
    assert issubclass(DriveError, RuntimeError)


@pytest.mark.parametrize(
    ("error", "retryable", "exit_code"),
    [
        (CredentialsError("no"), False, ExitCode.ACCESS),
        (CredentialsSettingError("no"), False, ExitCode.USAGE),
        (DriveUnavailableError("away", 60), True, ExitCode.UNREACHABLE),
        (FileUnavailableError("is not there", gone=True), False, ExitCode.UNREACHABLE),
        (FileUnavailableError("was read too often", gone=False, retryable=True), True, ExitCode.UNREACHABLE),
        (DownloadError("damaged"), True, ExitCode.UNREACHABLE),
    ],
)
def test_an_error_has_retryable_and_an_exit_code(error: DriveError, retryable: bool, exit_code: ExitCode) -> None:
    assert (error.retryable, error.exit_code) == (retryable, exit_code)


def test_a_file_s_error_completes_a_sentence_that_begins_with_its_name() -> None:
    error = FileUnavailableError("is not there", gone=True, code="notFound")
    assert (str(error), error.reason, error.gone, error.code) == ("is not there", "is not there", True, "notFound")
