"""Workbooks of the format before 2007, written by LibreOffice."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_ole_file, read, read_metadata, read_text, warnings

FEES = (Path(__file__).parent / "files" / "rows.xls").read_bytes()


def test_values_are_shown_with_comments_and_cells_over_several_rows() -> None:
    ((locator, text),) = read(FEES)
    assert locator == "sheet Fees, rows 1-4"
    assert text.splitlines() == [
        "Pier | Since | Fee | Share | Code",
        "Pier: North | Since: 01.03.2021 | Fee: $1,234.50 | Share: 12.5% | Code: 00417",
        "Comment on C2: Includes tax",
        "Pier: North | Since: 15.11.2019 | Fee: $80.00 | Share: 50.0% | Code: 00933",
        "Pier: Süd | Since: 30.06.2023 | Fee: $90.00 | Share: 25.0% | Code: 01208",
    ]
    assert warnings(FEES) == ["hidden sheets, rows or columns are left out"]
    assert read_metadata(FEES)["title"] == "Harbour fees"


def test_options_bring_in_hidden_rows_and_leave_out_comments() -> None:
    text = read_text(FEES, options=ReadOptions(hidden=True, comments=False))
    assert "[hidden] Pier: secret | Fee: 1" in text
    assert "hidden sheet" in text
    assert "Includes tax" not in text


@pytest.mark.parametrize("cut", [600, 3000, 6000])
def test_a_damaged_workbook_is_named(cut: int) -> None:
    with pytest.raises(CorruptFileError, match=r"its (records|directory of streams|stream Workbook)|Excel 97 workbook"):
        read(FEES[:cut], "a.xls")


def test_records_that_make_no_sense_are_damage() -> None:
    with pytest.raises(CorruptFileError, match="records"):
        read(make_ole_file({"Workbook": bytes.fromhex("0908100000060500") + b"\xff" * 400}), "a.xls")


def test_an_encrypted_workbook_needs_a_password() -> None:
    start = bytes.fromhex("090810000006050000000000000000000000000" + "0")
    with pytest.raises(EncryptedFileError):
        read(make_ole_file({"Workbook": start + bytes.fromhex("2f0006000000112233440a000000")}), "a.xls")
