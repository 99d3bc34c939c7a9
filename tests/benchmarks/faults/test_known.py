"""What a search has to find, and what it may show."""

from __future__ import annotations

import pytest

from benchmarks.faults.known import LONG, Asked, Known, Shown
from benchmarks.faults.texts import Text

OLD, NEW = Text("qax", "qax one\nqax two\n"), Text("qbx", "qbx three\n")


@pytest.fixture
def known() -> Known:
    return Known()


def asked(known: Known, key: str) -> Asked:
    found = known.ask(key)
    assert found is not None
    return found


def is_right(known: Known, key: str, *shown: tuple[str, str]) -> bool:
    return known.judge(asked(known, key), [Shown(*one) for one in shown])


def test_a_file_may_be_missing_until_it_was_found_once(known: Known) -> None:
    key = known.come("a.txt", OLD)
    assert is_right(known, key)
    assert is_right(known, key, ("a.txt", "qax one"))
    assert not is_right(known, key)
    assert not is_right(known, key, ("b.txt", "qax one"))
    assert not is_right(known, key, ("a.txt", "qzx one"))


def test_a_changed_file_may_show_its_old_or_new_text_and_the_new_one_alone_once_that_was_seen(known: Known) -> None:
    key = known.come("a.txt", OLD)
    assert is_right(known, key, ("a.txt", "qax one"))
    known.write(key, NEW)
    assert asked(known, key).question == "qax qbx"
    assert is_right(known, key, ("a.txt", "qax two"))
    assert not is_right(known, key)
    assert not known.is_settled(key)
    assert is_right(known, key, ("a.txt", "qbx three"))
    assert known.is_settled(key)
    assert not is_right(known, key, ("a.txt", "qax one"))


def test_a_moved_file_may_have_either_name_and_never_none(known: Known) -> None:
    key = known.come("a.txt", OLD)
    assert is_right(known, key, ("a.txt", "qax one"))
    known.rename(key, "b.txt")
    assert is_right(known, key, ("a.txt", "qax one"))
    assert is_right(known, key, ("b.txt", "qax one"))
    assert not is_right(known, key, ("a.txt", "qax one"))


def test_a_search_that_began_before_a_change_does_not_settle_it(known: Known) -> None:
    key = known.come("a.txt", OLD)
    before = asked(known, key)
    known.write(key, NEW)
    assert known.judge(before, [Shown("a.txt", "qbx three")])
    assert is_right(known, key, ("a.txt", "qax one"))


def test_a_file_that_went_during_the_search_need_not_be_found(known: Known) -> None:
    key = known.come("a.txt", OLD)
    assert is_right(known, key, ("a.txt", "qax one"))
    before = asked(known, key)
    known.go([key])
    assert known.judge(before, [])
    assert (known.ask(key), known.good(), known.expected()) == (None, [], {})
    assert known.come_back(key, name="b.txt") == OLD
    assert known.judge(before, [])
    assert is_right(known, key)  # it has to be found only after it was again
    assert known.expected() == {"b.txt": "qax one qax two"}


def test_a_file_with_a_copy_that_was_not_found_yet_is_not_settled(known: Known) -> None:
    key, copy = known.come("a.txt", OLD), known.come("b.txt", OLD)
    assert is_right(known, key, ("a.txt", "qax one"))
    assert not known.is_settled(key)
    assert is_right(known, copy, ("b.txt", "qax one"))
    assert known.is_settled(key)


def test_a_long_text_is_asked_for_alone(known: Known) -> None:
    key = known.come("a.txt", Text("qax", "qax " * LONG))
    assert asked(known, key).is_long
