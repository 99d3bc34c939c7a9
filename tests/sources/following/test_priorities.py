from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.following.priorities import Priorities
from rag_pipeline.sources.source import FoundFile


def files(keys: str) -> list[FoundFile]:
    return [FoundFile(key, key, key, 1, 0.0, "v1") for key in keys]


def sorted_by(order: Priorities, keys: str) -> str:
    return "".join(file.file_id for file in order.sort(files(keys)))


def test_prioritized_files_come_first_and_postponed_last_in_the_order_of_the_requests() -> None:
    order = Priorities()
    for key in "dx":
        order.prioritize(key)
    for key in "ba":
        order.postpone(key)
    assert sorted_by(order, "abcdex") == "dxceba"


def test_the_last_request_for_a_file_counts() -> None:
    order = Priorities()
    order.prioritize("a")
    order.postpone("a")
    assert sorted_by(order, "ab") == "ba"
    order.prioritize("a")
    assert sorted_by(order, "ba") == "ab"


def test_a_file_that_started_or_is_gone_loses_its_priority() -> None:
    order = Priorities()
    for key in "cb":
        order.prioritize(key)
    order.clear("c")
    order.keep("ac")
    assert sorted_by(order, "abc") == "abc"


@given(st.lists(st.tuples(st.sampled_from(["prioritize", "postpone", "clear"]), st.sampled_from("abcd"))))
def test_sorting_keeps_every_file_once_and_the_order_of_the_others(asked: list[tuple[str, str]]) -> None:
    order = Priorities()
    for call, key in asked:
        getattr(order, call)(key)
    result = sorted_by(order, "abcdefg")
    assert sorted(result) == list("abcdefg")
    assert [key for key in result if key in "efg"] == list("efg")
