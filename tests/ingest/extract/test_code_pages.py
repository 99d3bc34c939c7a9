"""Names of code pages."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.code_pages import code_page


@pytest.mark.parametrize(
    ("number", "name"),
    [(1251, "cp1251"), (936, "gbk"), (65001, "utf-8"), (10000, "mac-roman"), (1200, "utf-16-le"), (99999, "cp1252")],
)
def test_code_pages_have_names(number: int, name: str) -> None:
    assert code_page(number) == name
