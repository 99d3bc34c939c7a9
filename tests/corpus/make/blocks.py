"""Contents of a document, from which both the file and its truth are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; ``number`` is what the program puts before it by itself."""

    text: str
    level: int = 1
    number: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a list; ``number`` is what the program puts before it by itself."""

    text: str
    number: str = ""
    level: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first row has the labels of the columns. A cell with ``\\n`` has several paragraphs.

    ``merged`` tells that the first cell of the last row covers all columns but the last.
    """

    rows: tuple[tuple[str, ...], ...]
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Noted:
    """A paragraph with a footnote after ``before``."""

    before: str
    after: str
    note: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A paragraph with tracked changes: ``deleted`` was struck out and ``inserted`` put in its place."""

    before: str
    deleted: str
    inserted: str
    after: str


@dataclass(frozen=True, slots=True)
class Commented:
    """A paragraph with a comment on it."""

    text: str
    comment: str


@dataclass(frozen=True, slots=True)
class Box:
    """A text box beside the text."""

    text: str


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a page."""


Block = Heading | Text | Item | Table | Noted | Changed | Commented | Box | Break


def truth_of(
    blocks: Iterable[Block], *, comments: bool = True, headings: bool = True, more: Iterable[str] = ()
) -> list[str]:
    """Return the lines of the truth.

    comments: whether the file has the comments.
    headings: whether the file tells which lines are headings.
    more: further lines.
    """
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading(text, _, number):
                lines.append(f"{'heading: ' if headings and not number else ''}{number} {text}".strip())
            case Text(text):
                lines.append(text)
            case Item(text, number):
                lines.append(f"{number} {text}".strip())
            case Table(rows):
                lines += _rows(rows)
            case Noted(before, after, note):
                lines += [f"{before} {after}", f"anywhere: {note}"]
            case Changed(before, deleted, inserted, after):
                lines += [f"{before} {inserted} {after}", f"fact: {before} {inserted} {after}", f"not: {deleted}"]
            case Commented(text, comment):
                lines += [text, f"anywhere: {comment}"] if comments else [text]
            case Box(text):
                lines.append(f"anywhere: {text}")
            case Break():
                pass
    return [*lines, *more]


def _rows(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    head, *body = rows
    body_lines = ("row: " + " | ".join(" ".join(cell.split()) for cell in row if cell) for row in body)
    return ["head: " + " | ".join(head), *body_lines]


def accepted(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Return the blocks with tracked changes accepted."""
    return tuple(
        Text(f"{block.before} {block.inserted} {block.after}") if isinstance(block, Changed) else block
        for block in blocks
    )
