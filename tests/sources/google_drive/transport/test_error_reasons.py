"""The lists of Drive's error reasons."""

from __future__ import annotations

from rag_pipeline.sources.google_drive.transport import error_reasons


def test_no_reason_is_in_two_lists() -> None:
    lists = (
        error_reasons.FILE_REASONS,
        error_reasons.LIMITS,
        error_reasons.DAILY_LIMITS,
        error_reasons.SCOPE_REASONS,
        error_reasons.PROJECT_REASONS,
    )
    every = [reason for each in lists for reason in each]
    assert len(every) == len(set(every))


def test_exactly_these_reasons_concern_a_single_file() -> None:
    assert sorted(error_reasons.FILE_REASONS) == [
        "appNotAuthorizedToFile",
        "cannotDownloadAbusiveFile",
        "cannotDownloadFile",
        "cannotExportFile",
        "downloadQuotaExceeded",
        "exportSizeLimitExceeded",
        "fileNotDownloadable",
        "fileNotExportable",
        "insufficientFilePermissions",
    ]
    assert error_reasons.FILE_REASONS.keys() >= error_reasons.PASSING_FILE_REASONS
