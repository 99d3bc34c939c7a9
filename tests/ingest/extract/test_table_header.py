"""The header row is found, and only where it is sure."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.table_header import find_header, names_columns

SURVEY = "How satisfied are you, on a scale from one to five, with the service of the last year?"


def header(*rows: str, of_records: bool = False) -> str | None:
    found = find_header([row.split("|") for row in rows], of_records=of_records)
    return "|".join(found.names) if found else None


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (["Region|Sales", "North|120", "South|80"], "Region|Sales"),
        (["Annual budget", "Region|Manager|Sales", "North|Ann|120"], "Region|Manager|Sales"),
        (["Annual budget||Draft", "Region|Manager|Sales", "North|Ann|120"], "Region|Manager|Sales"),
        (["Country|2021|2022", "Norway|5.1|5.3"], "Country|2021|2022"),
        (["|2021|2022", "Norway|5.1|5.3"], "|2021|2022"),
        (["Product|2024-01|2024-02", "Valve|5|6"], "Product|2024-01|2024-02"),
        (["Region|0-14|65+", "North|5|7"], "Region|0-14|65+"),
        (["Name|Team|City", "Ann|HR|Rome"], "Name|Team|City"),
        ([f"Who|{SURVEY}|{SURVEY}?", "A|yes|no", "B|4|5"], f"Who|{SURVEY}|{SURVEY}?"),
        (["|2023||2024|", "Where|Cost|Gain|Cost|Gain", "X|1|2|3|4"], "Where|2023 Cost|2023 Gain|2024 Cost|2024 Gain"),
        (["Item|Amount|Amount", "X|1|2"], "Item|Amount|Amount"),
    ],
)
def test_a_header_names_the_columns(rows: list[str], names: str) -> None:
    assert header(*rows) == names


@pytest.mark.parametrize(
    "rows",
    [
        ["1|2", "3|4"],
        ["Ann|5|x", "Bob|6|y"],
        ["Ann|1985|2003", "Bob|1990|2010"],
        ["Norway|5.1|5.3", "Oslo|n/a|n/a", "Bonn|2|3"],
        ["Customer|ACME Ltd", "Date|2024-05-01"],
        ["Name:|Ann|Dept:|HR", "City:|Rome|Phone:|5"],
        ["To:|ACME", "Fee:|5", "Tax:|6"],
        ["Ann|HR|Rome", "Bob|HR|Oslo"],
        ["a@example.org|b|c", "d|1|2"],
        ["We met at ten.|We left at noon.|It rained.", "So we stayed.|Nobody spoke.|Then came the sun."],
        ["Name|Town", "Ann|Rome"],
        ["only one row|b"],
        [],
    ],
)
def test_in_doubt_there_is_no_header(rows: list[str]) -> None:
    assert header(*rows) is None


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (["Region|H1||H2", "Region|Plan|Actual|Plan|Actual", "N|1|2|3|4"],
         "Region|H1 Plan|H1 Actual|H2 Plan|H2 Actual"),
        (["Region|Sales 2024||Notes", "Region|Plan|Actual|Notes", "N|1|2|x"],
         "Region|Sales 2024 Plan|Sales 2024 Actual|Notes"),
        (["|Sales 2024", "Region|Plan|Actual", "N|1|2"], "Region|Sales 2024 Plan|Sales 2024 Actual"),
        (["Report|2024-05-01", "Product|Jan|Feb", "N|1|2"], "Product|Jan|Feb"),
        (["|Report by Ann.", "Product|Jan|Feb", "N|1|2"], "Product|Jan|Feb"),
        (["|Report", "|Product|Jan|Feb", "|N|1|2"], "|Product|Jan|Feb"),
    ],
)  # fmt: skip
def test_groups_of_columns_belong_to_their_names(rows: list[str], names: str) -> None:
    assert header(*rows) == names


def test_records_need_less_evidence() -> None:
    assert header("Region|Sales", "North|120", of_records=True) == "Region|Sales"
    assert header("Name|Town", "Ann|Rome", of_records=True) == "Name|Town"
    assert header("Customer|ACME", "Date|2024-05-01", "Sum|5", of_records=True) is None


def test_names_may_stand_alone() -> None:
    assert names_columns(["Name", "Days"])
    assert names_columns(["", "2021", "2022"])
    assert not names_columns(["Name"])
    assert not names_columns(["Ann", "5"])
