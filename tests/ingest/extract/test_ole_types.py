"""Formats in OLE containers."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.ole_types import ole_label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("__properties_version1.0", "an Outlook message"),
        ("WordDocument", "(doc)"),
        ("PowerPoint Document", "(ppt)"),
        ("Workbook", "(xls)"),
        ("VisioDocument", "Visio"),
        ("Other", "(OLE)"),
    ],
)
def test_the_name_in_the_directory_tells(name: str, label: str) -> None:
    assert label in ole_label(b"\x01\x02" + (name + "\x00").encode("utf-16-le"))
