"""What blocks that stand side by side are."""

from __future__ import annotations

from rag_pipeline.ingest.extract.readers.pdf.blocks import (
    Block,
    are_columns,
    are_level,
    are_near,
    is_beside,
    is_one_row,
    is_prose,
    is_table_by_columns,
    middle,
)
from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment

SENTENCES = [
    "The traveller hands in the",
    "invoice within ten days, and",
    "is paid with the salary of",
    "the following month.",
]


def block(*lines: str, left: float = 0, top: float = 100) -> Block:
    """Return lines of ten points below each other."""
    return [
        Fragment(text, left, top - 10 * number - 10, left + 5 * len(text), top - 10 * number)
        for number, text in enumerate(lines)
    ]


def test_sentences_are_prose_and_cells_are_not() -> None:
    assert is_prose(block(*SENTENCES))
    assert not is_prose(block("Norway", "Spain", "France", "Italy"))
    assert not is_prose(block(*["1,406,164.00 1,406,246.50 EUR"] * 5))
    assert not is_prose(block(*SENTENCES[:2]))


def test_columns_of_prose_and_of_lists_are_read_one_after_the_other() -> None:
    assert are_columns([block(*SENTENCES), block(*SENTENCES, left=200)])
    words = [f"entry {chr(97 + number)}" for number in range(20)]
    assert are_columns([block(*words), block(*words, left=200)])
    assert not are_columns([block("Ann", "Bob", "Cleo"), block("90", "80", "70", left=200)])


def test_columns_of_a_table_stand_beside_each_other() -> None:
    names, pay = block("Ann", "Bob", "Cleo"), block("90", "80", "70", left=200)
    assert is_table_by_columns([names, pay])
    assert not is_table_by_columns([names, block("90", "80", "70", left=200, top=95)])
    assert not is_table_by_columns([block(*SENTENCES), block(*SENTENCES, left=200)])


def test_cells_of_one_row_are_aligned_at_the_top_the_middle_or_the_bottom() -> None:
    tall = block("one", "two", "three", left=200)
    for top in (100, 90, 80):
        assert is_one_row([block("cell", top=top), tall])
    assert not is_one_row([block("cell", top=130), tall])
    assert is_one_row([block("a"), block("b", left=200)])
    assert not is_one_row([block("a"), block(*"abcdefghijkl", left=200)])


def test_places() -> None:
    one, two = block("a", "b"), block("c", "d", left=200)
    assert middle(one) == 90
    assert are_near([100, 101], [one])
    assert not are_near([100, 110], [one])
    assert are_level([one, two])
    assert is_beside(one[0], two[0])
    assert not is_beside(one[0], two[1])
