"""Validation of responses against the document's schemas."""

from __future__ import annotations

import pytest

from tests.drive import schemas
from tests.drive.schemas import AnswerError


@pytest.mark.parametrize(
    "file",
    [
        {"id": "1", "size": "12", "trashed": False, "modifiedTime": "2024-02-29T12:00:00.000Z"},
        {"exportLinks": {"text/plain": "http://127.0.0.1/"}, "owners": [{"me": True}], "capabilities": {}},
    ],
)
def test_valid_responses_pass(file: object) -> None:
    schemas.check("File", file)


@pytest.mark.parametrize(
    "file",
    [
        {"title": "of version 2"},
        {"size": 12},
        {"size": "twelve"},
        {"trashed": "false"},
        {"modifiedTime": "yesterday"},
        {"parents": "0A"},
        {"capabilities": {"canFly": True}},
        {"exportLinks": {"text/plain": 1}},
        {"owners": [{"name": "of version 2"}]},
    ],
)
def test_an_unknown_or_mistyped_field_fails(file: object) -> None:
    with pytest.raises(AnswerError):
        schemas.check("File", file)


def test_nested_values_are_checked() -> None:
    with pytest.raises(AnswerError, match="files/0"):
        schemas.check("FileList", {"files": [{"title": "of version 2"}]})
