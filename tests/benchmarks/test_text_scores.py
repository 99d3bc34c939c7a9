from __future__ import annotations

import pytest

from benchmarks.lib.text_scores import common_length, score
from benchmarks.lib.text_truth import parse_truth, words


def test_a_row_counts_if_its_cells_are_on_one_line_in_order() -> None:
    truth = parse_truth("head: Name | Sum\nrow: Ann Berg | 12\nrow: Omar | 7")
    assert score("Name: Ann Berg | Sum: 12\nName: Omar | Sum: 7", truth).rows == 1.0
    assert score("Ann Berg\t12\nOmar\n7", truth).rows == 0.5
    assert score("12 Ann Berg\nAnn Smith Berg 12", truth).split_rows == ("Ann Berg | 12", "Omar | 7")


def test_missing_and_surplus_words_lower_recall_and_precision() -> None:
    found = score("one two two four", parse_truth("one two three four"))
    assert (found.recall, found.missing) == (0.75, ("three",))
    assert (found.precision, found.surplus) == (0.75, ("two",))


def test_labels_and_optional_words_may_repeat() -> None:
    truth = parse_truth("head: Name\nrow: Ann\nmay: page 1")
    found = score("Name: Ann\nName page 1 page 1", truth)
    assert (found.recall, found.precision) == (1.0, 1.0)


def test_order_is_the_share_of_a_common_subsequence() -> None:
    truth = parse_truth("a b c d\nanywhere: z")
    assert score("z c d a b", truth).order == 0.5
    assert score("a z b c d", truth).order == 1.0


@pytest.mark.parametrize(
    ("left", "right", "length"), [("abcbdab", "bdcaba", 4), ("", "abc", 0), ("abc", "xyz", 0), ("aaaa", "aa", 2)]
)
def test_the_longest_common_subsequence(left: str, right: str, length: int) -> None:
    assert common_length(left, right) == common_length(right, left) == length


def test_words_of_scripts_without_spaces_are_characters_with_their_marks() -> None:
    assert words("日本 go") == ["日", "本", "go"]
    assert words("ปิด") == ["ปิ", "ด"]
    assert words("हिन्दी, it’s") == ["हिन्दी", "it", "s"]
    assert words("cafe\u0301 euros1") == ["café", "euros", "1"]
