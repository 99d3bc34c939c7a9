"""The ``q`` parameter."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drive.api_errors import ApiError, ViolationError
from tests.drive.query import parse

FILE = {
    "name": "It's a Plan \\ draft",
    "mimeType": "application/pdf",
    "parents": ["p1", "p2"],
    "trashed": False,
    "modifiedTime": "2024-05-01T12:00:00.000Z",
    "shortcutDetails": {"targetId": "t"},
}


@pytest.mark.parametrize(
    "text",
    [
        "'p1' in parents",
        "'p1' in parents and trashed = false",
        "('p0' in parents or 'p2' in parents) and trashed=false",
        "not 'p0' in parents",
        "not (mimeType = 'text/plain' or trashed = true)",
        r"name = 'It\'s a Plan \\ draft'",
        "name contains 'pla'",
        "mimeType contains 'pdf'",
        "mimeType != 'application/vnd.google-apps.folder'",
        "modifiedTime > '2024-05-01T11:59:59'",
        "modifiedTime <= '2024-05-01T14:00:00+02:00'",
        "shortcutDetails.targetId = 't'",
        "sharedWithMe = false",
        "trashed != true",
    ],
)
def test_a_query_matches_a_file(text: str) -> None:
    assert parse(text).meets(FILE)


@pytest.mark.parametrize(
    "text",
    [
        "'p0' in parents",
        "'p1' in parents and trashed = true",
        "name contains 'lan'",
        "name = 'Plan'",
        "not 'p1' in parents",
        "modifiedTime < '2024-05-01T12:00:00'",
    ],
)
def test_a_query_does_not_match_a_file(text: str) -> None:
    assert not parse(text).meets(FILE)


@pytest.mark.parametrize(
    ("text", "parents"),
    [
        ("'a' in parents", {"a"}),
        ("('a' in parents or 'b' in parents) and trashed = false", {"a", "b"}),
        ("'a' in parents or trashed = false", None),
        ("not 'a' in parents", None),
        ("'root' in parents", {"0A"}),
    ],
)
def test_the_folders_of_a_query_are_known(text: str, parents: set[str] | None) -> None:
    assert parse(text, "0A").parents == parents


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trashed",
        "trashed = no",
        "trashed > false",
        'name = "a"',
        "name = 'a",
        "name = a",
        r"name = 'a\n'",
        "title = 'a'",
        "'a' in folders",
        "'a' in parents and",
        "('a' in parents",
        "'a' in parents)",
        "modifiedTime > 'yesterday'",
        "parents in 'a'",
    ],
)
def test_invalid_queries_are_rejected(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(text)
    assert (refused.value.status, refused.value.location) == (400, "q")


@pytest.mark.parametrize("text", ["fullText contains 'a'", "'me' in owners"])
def test_an_unmodelled_term_fails_the_test(text: str) -> None:
    with pytest.raises(ViolationError):
        parse(text)


def test_and_with_or_needs_parentheses_because_precedence_is_undocumented() -> None:
    with pytest.raises(ViolationError):
        parse("'a' in parents or 'b' in parents and trashed = false")


@given(st.text())
def test_any_name_can_be_quoted(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    assert parse(f"name = '{quoted}'").meets({"name": name})


@given(st.text(alphabet="'\\ ()=<>!inandortrashedparents", max_size=30))
def test_any_text_is_a_query_or_rejected(text: str) -> None:
    with suppress(ApiError):
        parse(text)
