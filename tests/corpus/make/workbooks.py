"""Workbooks by XlsxWriter and openpyxl, and the same saved by LibreOffice Calc in other formats."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import xlsxwriter
from openpyxl.comments import Comment
from openpyxl.worksheet.table import Table

from tests.corpus.make.programs import FILES, convert, libreoffice_version, write_truth

_YEARS = ("Country", "2021", "2022", "2023")
_GROWTH = (("Norway", 510, 530, 544), ("Österreich", 420, 415, 431), ("Česko", 388, 392, 405))
_STAFF = (
    ("Anna Kowalska", "00417", date(2021, 3, 1), 3200),
    ("Bülent Şahin", "00933", date(2019, 11, 15), 4100),
    ("Χρήστος Παππάς", "01208", date(2023, 6, 30), 2950),
)
_BUDGET = [
    "# sheet Growth: years are labels",
    "head: Country | 2021 | 2022 | 2023",
    *(f"row: {country} | {a} | {b} | {c}" for country, a, b, c in _GROWTH),
    "fact: Country: Norway | 2021: 510 | 2022: 530 | 2023: 544",
    "# sheet Budget: a title above the labels",
    "anywhere: Annual budget of the harbour office, all amounts without tax",
    "head: Position | Responsible | Amount",
    "row: Cranes | Ann | 120",
    "row: Pilots | Omar | 85",
    "fact: Position: Cranes | Responsible: Ann | Amount: 120",
    "not: Annual budget of the harbour office, all amounts without tax: Cranes",
    "# sheet Staff: dates, leading zeros, currency",
    "head: Name | Number | Since | Salary",
    *(f"row: {name} | {number} | {since:%Y-%m-%d}" for name, number, since, _ in _STAFF),
    *(f"may: {salary} {salary // 1000} {salary % 1000:03} 00 €" for *_, salary in _STAFF),
    "fact: €",
    "fact: 00417",
    "not: Secret plan B",
    "may: 0 Ann Comment on by Budget C 4 D 1",
]
_COMMENT = "Confirmed by the board"


def make() -> None:
    """Make all files of this program."""
    _budget()
    _stock()
    with TemporaryDirectory() as folder:
        # Written again from a copy, so that the program of the original leaves nothing in it.
        copy = Path(folder) / "calc-budget.xlsx"
        copy.write_bytes((FILES / "xlsxwriter-budget.xlsx").read_bytes())
        for suffix in ("xlsx", "xls", "ods"):
            convert(copy, suffix, f"calc-budget.{suffix}", "Calc MS Excel 2007 XML" if suffix == "xlsx" else "")
            write_truth(
                f"calc-budget.{suffix}",
                [*_BUDGET, _hidden_row(suffix), _comment(suffix, _COMMENT), *_chart(suffix)],
                libreoffice_version(),
            )
        copy = Path(folder) / "calc-stock.xlsx"
        copy.write_bytes((FILES / "openpyxl-stock.xlsx").read_bytes())
        for suffix in ("xls", "ods"):
            convert(copy, suffix, f"calc-stock.{suffix}")
            write_truth(f"calc-stock.{suffix}", [*_STOCK, _comment(suffix, _STOCK_COMMENT)], libreoffice_version())


def _hidden_row(suffix: str) -> str:
    # Nor the marks of hidden rows.
    return "may: Secret plan Omar 999" if suffix == "xls" else "not: Secret plan"


def _comment(suffix: str, text: str) -> str:
    # No permissively licensed library reads the comments of .xls.
    return f"{'may' if suffix == 'xls' else 'anywhere'}: {text}"


def _chart(suffix: str) -> list[str]:
    # A chart in .xls is a stream of records, in .ods a document of its own.
    return [f"{'anywhere' if suffix == 'xlsx' else 'may'}: Growth since 2021", *_CHART]


_CHART = ["may: Country 2021 2022 2023 Norway Österreich Česko Growth since 510 420 388 530 415 392 544 431 405"]


def _budget() -> None:
    book = xlsxwriter.Workbook(FILES / "xlsxwriter-budget.xlsx")
    growth = book.add_worksheet("Growth")
    for column, year in enumerate(_YEARS):
        growth.write(0, column, int(year) if year.isdigit() else year)
    for row, values in enumerate(_GROWTH, start=1):
        growth.write_row(row, 0, values)
    chart = book.add_chart({"type": "line"})
    chart.add_series({"categories": "=Growth!$A$2:$A$4", "values": "=Growth!$D$2:$D$4", "name": "=Growth!$D$1"})
    chart.set_title({"name": "Growth since 2021"})
    growth.insert_chart("F2", chart)

    budget = book.add_worksheet("Budget")
    bold = book.add_format({"bold": True, "align": "center"})
    budget.merge_range("A1:C1", "Annual budget of the harbour office, all amounts without tax", bold)
    budget.write_row("A3", ("Position", "Responsible", "Amount"), bold)
    budget.write_row("A4", ("Cranes", "Ann", 120))
    budget.write_row("A5", ("Pilots", "Omar", 85))
    budget.write_row("A6", ("Secret plan", "Omar", 999))
    budget.set_row(5, None, None, {"hidden": True})
    budget.write_comment("C4", "Confirmed by the board", {"author": "Ann"})

    staff = book.add_worksheet("Staff")
    staff.write_row(0, 0, ("Name", "Number", "Since", "Salary"), bold)
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    euros = book.add_format({"num_format": "#,##0.00\\ [$€-407]"})
    padded = book.add_format({"num_format": "00000"})
    for row, (name, number, since, salary) in enumerate(_STAFF, start=1):
        staff.write(row, 0, name)
        staff.write_number(row, 1, int(number), padded)
        staff.write_datetime(row, 2, since, day)
        staff.write_number(row, 3, salary, euros)
    staff.set_column(0, 3, 20)

    hidden = book.add_worksheet("Plans")
    hidden.write_row(0, 0, ("Secret plan", "Owner"))
    hidden.write_row(1, 0, ("Secret plan B", "Omar"))
    hidden.hide()
    book.close()
    truth = [
        *_BUDGET,
        _hidden_row("xlsx"),
        _comment("xlsx", _COMMENT),
        "anywhere: Growth since 2021",
        *_CHART,
        "may: Ann",
    ]
    write_truth("xlsxwriter-budget.xlsx", truth, f"XlsxWriter {xlsxwriter.__version__}")


_STOCK = [
    "# A form, and two tables one above the other",
    "Customer ACME Ltd",
    "Order 2024-118",
    "head: Item | Qty | Price",
    "row: Valve | 3 | 12.5",
    "row: Hose | 20 | 4.25",
    "row: Gasket | 150 | 0.75",
    "head: Warehouse | Opens",
    "row: Gdańsk | 07:30",
    "row: İzmir | 08:15",
    "fact: Item: Valve | Qty: 3 | Price: 12.5",
    "not: ACME Ltd: 3",
    "not: Item: Gdańsk",
    "may: 00 Ann Comment on by Order A 6",
]
_STOCK_COMMENT = "Takes two weeks"


def _stock() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Order"
    rows = (
        ("Customer", "ACME Ltd"), ("Order", "2024-118"), (), ("Item", "Qty", "Price"), ("Valve", 3, 12.5),
        ("Hose", 20, 4.25), ("Gasket", 150, 0.75), (), ("Warehouse", "Opens"), ("Gdańsk", time(7, 30)),
        ("İzmir", time(8, 15)),
    )  # fmt: skip
    for row in rows:
        sheet.append(row)
    sheet["A6"].comment = Comment("Takes two weeks", "Ann")
    for cell in ("B10", "B11"):
        sheet[cell].number_format = "hh:mm"
    sheet.add_table(Table(displayName="Items", ref="A4:C7"))
    book.properties.creator = "Ann"
    book.save(FILES / "openpyxl-stock.xlsx")
    write_truth("openpyxl-stock.xlsx", [*_STOCK, _comment("xlsx", _STOCK_COMMENT)], f"openpyxl {openpyxl.__version__}")
