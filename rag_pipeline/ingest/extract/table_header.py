"""Find the row that names the columns of a table; in doubt, there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag_pipeline.ingest.extract.cell_kinds import CellKind, cell_kind

_MAX_NAME_CHARACTERS = 300
_MAX_PLAIN_NAME_CHARACTERS = 60
_MOST = 0.7

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table's columns.

    index: its row among those searched. names: one for each column, empty where there is none. values: the columns
    of numbers and dates. is_certain: whether names stand above numbers or dates, so that they can't be data.
    """

    index: int
    names: tuple[str, ...]
    values: frozenset[int]
    is_certain: bool


class _Column:
    """The cells of a column below a row: how many are filled, are numbers, and are values of any kind."""

    def __init__(self, cells: Sequence[str]) -> None:
        kinds = [cell_kind(cell) for cell in cells]
        self.filled = sum(kind is not CellKind.EMPTY for kind in kinds)
        self.numbers = kinds.count(CellKind.NUMBER)
        self.values = sum(kind.is_value for kind in kinds)
        self.texts = {cell.casefold() for cell, kind in zip(cells, kinds, strict=True) if kind is CellKind.TEXT}

    @property
    def has_values(self) -> bool:
        return self.values > 0 and self.values >= _MOST * self.filled

    @property
    def has_numbers(self) -> bool:
        return self.numbers > 0 and self.numbers >= _MOST * self.filled


def find_header(rows: Sequence[Row], *, of_records: bool) -> Header | None:
    """Return the header among a table's first rows, below its titles; None if no row is surely one.

    ``of_records`` tells that the file is made to hold one table, as CSV is. Elsewhere two columns may be a form,
    whose first row names nothing.
    """
    counts = [sum(map(bool, row)) for row in rows]
    for index in range(len(rows) - 1):
        widest = max(counts[index + 1 :])
        if counts[index] < 2 or widest < 2:
            continue
        if header := _header_at(index, rows, of_records=of_records):
            fuller = counts[index + 1] > counts[index] and _header_at(index + 1, rows, of_records=of_records)
            return fuller or header
        if counts[index] >= widest or _holds_numbers(rows[index]):
            return None  # the rows start here, without a header
    return None


def names_columns(row: Row) -> bool:
    """Return whether the row by itself could be a header: at least two names, or a name before years."""
    kinds = [cell_kind(cell) for cell in row if cell]
    return len(kinds) > 1 and all(map(_may_name, filter(None, row))) and (not row[0] or kinds[0] is CellKind.TEXT)


def _holds_numbers(row: Row) -> bool:
    return any(cell_kind(cell) is CellKind.NUMBER for cell in row)


def _header_at(index: int, rows: Sequence[Row], *, of_records: bool) -> Header | None:
    row = rows[index]
    below = [other for other in rows[index + 1 :] if other != row]  # long tables repeat their header
    if not below or not names_columns(row):
        return None
    width = max(len(row), *map(len, below))
    columns = [_Column([other[at] if at < len(other) else "" for other in below]) for at in range(width)]
    named = [at for at, cell in enumerate(row) if cell]
    used = [at for at, column in enumerate(columns) if column.filled * 2 > len(below)]
    if len(set(used) & set(named)) * 3 < len(used) * 2:
        return None  # a title in two cells
    if any(row[at].casefold() in columns[at].texts for at in named):
        return None  # a name that recurs below is a value
    spans = [at for at in named if cell_kind(row[at]) is not CellKind.TEXT]
    if not all(columns[at].has_numbers for at in spans):
        return None  # years above years are values
    values = frozenset(at for at, column in enumerate(columns) if column.has_values)
    header = Header(index, _names(index, rows), values, bool(values & set(named)))
    is_header = _heads_two_columns if len(set(used) | set(named)) == 2 else _heads_columns
    return header if is_header(header, below, columns, of_records=of_records) else None


def _heads_columns(header: Header, _below: Sequence[Row], columns: Sequence[_Column], *, of_records: bool) -> bool:
    names = [name for name in header.names if name]
    if any(name.endswith(":") for name in names) and not of_records:
        return False  # a form with two fields in a row
    if header.is_certain:
        return True
    return len(set(names)) == len(names) and all(map(_is_plain, header.names, columns))


def _heads_two_columns(header: Header, below: Sequence[Row], columns: Sequence[_Column], *, of_records: bool) -> bool:
    """Return whether two columns have a header, rather than being the fields of a form and their values."""
    names = [name for name in header.names if name]
    fields = [next((cell for cell in row if cell), "") for row in below]
    if sum(field.endswith(":") for field in [names[0], *fields]) * 2 > len(fields):
        return False
    kinds = {cell_kind(cell) for row in below for cell in row[1:]} - {CellKind.EMPTY}
    is_mixed = CellKind.DATE in kinds and len(kinds) > 1
    if header.is_certain:
        return not is_mixed and (of_records or (len(below) > 1 and max(header.values) > 0))
    is_plain = len(set(names)) == 2 and all(map(_is_plain, header.names, columns))
    return of_records and not is_mixed and is_plain


def _names(index: int, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the names in a row, each with the group in the row above, such as ``Sales 2024 Plan``."""
    names = [cell if len(cell) <= _MAX_NAME_CHARACTERS else "" for cell in rows[index]]
    above = [*rows[index - 1], *[""] * len(names)][: len(names)] if index else []
    if not any(above[1:]) or not (_are_repeated(names) or _are_groups(above, names)):
        return tuple(names)
    groups: list[str] = []
    for cell, name in zip(above, names, strict=True):
        is_tall = cell == name  # one cell that extends over both rows
        groups.append("" if is_tall else cell or (groups[-1] if groups else ""))
    return tuple(f"{group} {name}".strip() if name else "" for group, name in zip(groups, names, strict=True))


def _are_repeated(names: Sequence[str]) -> bool:
    filled = [name for name in names if name]
    return len(set(filled)) < len(filled)


def _are_groups(above: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether the cells above the names are groups of columns: a title would stand above the first name."""
    first = next(at for at, name in enumerate(names) if name)
    groups = [cell for cell, name in zip(above[first:], names[first:], strict=True) if cell and cell != name]
    return above[first] in ("", names[first]) and bool(groups) and all(map(_is_group, groups))


def _is_group(cell: str) -> bool:
    is_short = len(cell) <= _MAX_PLAIN_NAME_CHARACTERS and not cell.endswith((".", ":", ","))
    return is_short and cell_kind(cell) is not CellKind.NUMBER


def _may_name(cell: str) -> bool:
    kind = cell_kind(cell)
    if kind is CellKind.TEXT:
        return not ("://" in cell or ("@" in cell and "." in cell.rpartition("@")[2]))
    return kind in (CellKind.SPAN, CellKind.DATE)


def _is_plain(name: str, column: _Column) -> bool:
    """Return whether a name is a short label, or a question with short answers, not a sentence among others."""
    if len(name) > _MAX_PLAIN_NAME_CHARACTERS:
        return len(name) > 2 * max(map(len, column.texts), default=0)
    return not name.endswith((".", "!", ","))
