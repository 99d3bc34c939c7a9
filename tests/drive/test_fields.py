"""The ``fields`` parameter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drive.api_errors import ViolationError
from tests.drive.fields import Mask, cut_down, mask_for, parse

PAGE: dict[str, Any] = {
    "kind": "drive#fileList",
    "nextPageToken": "t",
    "files": [{"id": "1", "name": "a", "capabilities": {"canDownload": True, "canEdit": False}}],
}
NAMES = st.sampled_from(["id", "name", "files", "kind", "owners", "*"])
MASKS: st.SearchStrategy[Mask] = st.recursive(
    st.just({}), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


def written(mask: Mask) -> str:
    """Return a field mask in Drive's notation."""
    return ",".join(f"{name}({written(parts)})" if parts else name for name, parts in mask.items())


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ("nextPageToken", {"nextPageToken": "t"}),
        ("files/id", {"files": [{"id": "1"}]}),
        ("files(id, name), nextPageToken", {"nextPageToken": "t", "files": [{"id": "1", "name": "a"}]}),
        ("files/capabilities/canEdit", {"files": [{"capabilities": {"canEdit": False}}]}),
        ("files(id,capabilities(canEdit))", {"files": [{"id": "1", "capabilities": {"canEdit": False}}]}),
        ("files/id,files/name", {"files": [{"id": "1", "name": "a"}]}),
        ("*", PAGE),
        ("files(*)", {"files": PAGE["files"]}),
        ("*/id", {"kind": "drive#fileList", "nextPageToken": "t", "files": [{"id": "1"}]}),
    ],
)
def test_a_response_has_only_the_requested_fields(fields: str, kept: object) -> None:
    assert cut_down(PAGE, parse(fields)) == kept


def test_without_a_mask_a_file_has_drive_s_default_fields() -> None:
    file = {"kind": "drive#file", "id": "1", "name": "a", "mimeType": "text/plain", "size": "1"}
    assert set(cut_down(file, mask_for("File", None))) == {"kind", "id", "name", "mimeType"}


def test_about_requires_fields() -> None:
    with pytest.raises(ViolationError, match="required for this method"):
        mask_for("About", None)


@pytest.mark.parametrize(
    "fields", ["", ",", "files(", "files)", "files()", "files(id", "id id", "files/", "fi.les", "/id"]
)
def test_invalid_masks_are_rejected(fields: str) -> None:
    with pytest.raises(ViolationError):
        parse(fields)


@pytest.mark.parametrize("fields", ["items", "files/title", "files(id,md5)", "files/capabilities/canFly", "kind/x"])
def test_an_unknown_field_is_rejected(fields: str) -> None:
    with pytest.raises(ViolationError, match="Invalid field selection"):
        mask_for("FileList", fields)


def test_a_map_can_have_any_key() -> None:
    assert mask_for("File", "exportLinks/*") == {"exportLinks": {"*": {}}}


@given(MASKS.filter(bool))
def test_a_written_mask_is_parsed_back(mask: Mask) -> None:
    assert parse(written(mask)) == mask


@pytest.mark.slow
@given(MASKS, st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner) | st.lists(inner)))
def test_masking_adds_nothing_and_is_idempotent(mask: Mask, value: Any) -> None:
    once = cut_down(value, mask)
    assert cut_down(once, mask) == once
    if isinstance(value, dict):
        assert set(once) <= set(value)
