"""CSV and TSV tables."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import CorruptFileError
from tests.ingest.extract.makers import read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_cells_are_labelled_with_their_columns(delimiter: str) -> None:
    data = f'Name{delimiter}Days\n"Holm, Edda"{delimiter}27\n\nReyes{delimiter}\n'.encode()
    if delimiter == ",":
        data = data.replace(b"Reyes,", b"Reyes, ")
    ((locator, text),) = read(data, "a.csv")
    assert locator == "rows 1-4"
    assert text.splitlines() == ["Name | Days", "Name: Holm, Edda | Days: 27", "Name: Reyes"]


def test_a_first_row_with_numbers_is_not_a_header() -> None:
    assert read(b"1,2\n3,4\n", "a.csv") == [("rows 1-2", "1 | 2\n3 | 4")]
    assert read(b"a\tb,c\n1\t2\n", "a.tsv") == [("rows 1-2", "a | b,c\na: 1 | b,c: 2")]


@pytest.mark.parametrize(
    "data",
    [
        b"sep=;\nRegion;Sales\nNorth;120\n",
        b'"sep=;"\r\nRegion;Sales\r\nNorth;120\r\n',
        b"Report generated 2024-05-01\n\nRegion,Sales\nNorth,120\nSouth,80\n",
        b"Sales report, all regions\nRegion;Sales\nNorth;120\nSouth;80\n",
        b'Region,Sales\n"North",120\n"",\n',
        b"Region,Sales\r\r\nNorth,120\r\r\n",
        "Region,Sales\nNorth,120\n".encode("utf-16"),
    ],
)
def test_titles_and_other_lines_before_the_header(data: bytes) -> None:
    text = "\n".join(text for _, text in read(data, "a.csv"))
    assert "Region: North | Sales: 120" in text
    assert "sep=" not in text


def test_a_newline_in_quotes_stays_in_its_row() -> None:
    assert read(b'Who,Note\nAnn,"two\nlines"\n', "a.csv")[0][1].endswith("Who: Ann | Note: two lines")


def test_long_tables_have_several_sections() -> None:
    rows = "".join(f"{number},some words\n" for number in range(1000))
    sections = read(f"Number,Text\n{rows}".encode(), "a.csv")
    assert len(sections) > 5
    assert sections[-1][0].endswith("-1001")


def test_an_endless_cell_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.ingest.extract.readers.table._MAX_FIELD_CHARACTERS", 1000)
    with pytest.raises(CorruptFileError, match="field limit"):
        read(b'a,"' + b"x" * 5000, "a.csv")
