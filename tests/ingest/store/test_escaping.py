"""Names of any bytes are stored as text and read back unchanged."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from rag_pipeline.ingest.store.escaping import escape, unescape
from tests.ingest.store.samples import NAMES


@given(NAMES)
@example("caf\udce9.txt")
@example("\ufdd0dce9")
@example("\ufdd0\ufdd0\udcffdcff")
def test_an_escaped_name_is_valid_text_and_is_read_back(name: str) -> None:
    escaped = escape(name)
    escaped.encode("utf-8")
    assert unescape(escaped) == name


@pytest.mark.parametrize("name", ["", "a.txt", "日本 🎉.md", "it's", "a\nb\0"])
def test_valid_text_is_not_changed(name: str) -> None:
    assert escape(name) == name
