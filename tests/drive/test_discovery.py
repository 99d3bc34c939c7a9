"""Validation of requests against the discovery document."""

from __future__ import annotations

import pytest

from tests.drive import discovery
from tests.drive.api_errors import ViolationError


def test_a_call_has_typed_parameters_with_defaults() -> None:
    call = discovery.call("GET", "/drive/v3/files", "pageSize=50&supportsAllDrives=true")
    assert call.operation == "files.list"
    assert call.given["pageSize"] == 50
    assert call.given["supportsAllDrives"] is True
    assert call.given["includeItemsFromAllDrives"] is False


def test_downloads_are_their_own_operation() -> None:
    call = discovery.call("GET", "/drive/v3/files/an%20id", "alt=media")
    assert (call.operation, call.given["fileId"]) == ("media", "an id")


def test_a_path_with_a_name_comes_before_one_with_an_id() -> None:
    assert discovery.call("GET", "/drive/v3/files/generateIds", "").operation == "files.generateIds"


def test_a_page_size_over_the_maximum_is_coerced() -> None:
    assert discovery.call("GET", "/drive/v3/files", "pageSize=5000").given["pageSize"] == 1000


@pytest.mark.parametrize(
    ("verb", "path", "query", "status"),
    [
        ("GET", "/drive/v2/files", "", 404),
        ("GET", "/drive/v3/folders", "", 404),
        ("GET", "/drive/v3/files/a/b/c", "", 404),
        ("PUT", "/drive/v3/files/a", "", 405),
        ("GET", "/drive/v3/files", "page_size=10", 400),
        ("GET", "/drive/v3/files", "fileId=10", 400),
        ("GET", "/drive/v3/files", "pageSize=ten", 400),
        ("GET", "/drive/v3/files", "pageSize=0", 400),
        ("GET", "/drive/v3/files", "supportsAllDrives=True", 400),
        ("GET", "/drive/v3/files", "q=a&q=b", 400),
        ("GET", "/drive/v3/files", "alt=media", 400),
        ("GET", "/drive/v3/files", "alt=xml", 400),
        ("GET", "/drive/v3/changes", "", 400),
        ("GET", "/drive/v3/changes", "pageToken=", 400),
        ("GET", "/drive/v3/files/a/export", "", 400),
    ],
)
def test_unknown_requests_are_violations(verb: str, path: str, query: str, status: int) -> None:
    with pytest.raises(ViolationError) as refused:
        discovery.call(verb, path, query)
    assert refused.value.status == status


def test_an_unmodelled_parameter_is_rejected_and_not_ignored() -> None:
    query = "includeLabels=a&fields=id"
    call = discovery.call("GET", "/drive/v3/files/a", query)
    with pytest.raises(ViolationError, match="includeLabels is not modelled"):
        discovery.check_known(call, frozenset({"fileId"}), query)
