from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.journal import Lineage
from rag_pipeline.journal.redis.cursor import Place

PLACE = Place("5-1", 3, "aaaaaaaa run", Lineage("aaaaaaaa"))


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_a_stream_is_gapless_if_it_has_every_entry_after_the_place_and_forgot_none(
    read: int, more: int, removed: int, forgotten: int
) -> None:
    """Of ``read + more`` entries the newest are forgotten as by an older file, then the oldest are removed."""
    added = max(0, read + more - forgotten)
    removed = min(removed, added)
    here = removed < read <= added
    stream = {"entries-added": added, "length": added - removed}
    whole = removed <= read <= added
    assert PLACE._replace(added=read).is_gapless(stream, here=here) is whole


def test_nothing_has_changed_while_redis_is_the_one_that_was_read() -> None:
    assert PLACE.in_generation("aaaaaaaa run", []) is PLACE


def test_a_further_generation_is_gone_on_in_if_it_has_all_up_to_the_place() -> None:
    for start, goes_on in (("5-1", True), ("6-0", True), ("5-0", False)):
        moved = PLACE.in_generation("bbbbbbbb run2", ["aaaaaaaa 0-0", f"bbbbbbbb {start}"])
        assert (moved is not None) is goes_on
        if moved is not None:
            assert moved[:3] == ("5-1", 3, "bbbbbbbb run2")
            assert moved.lineage.identity == "bbbbbbbb"


def test_another_journal_is_not_gone_on_in() -> None:
    for mark, generations in (
        ("", []),
        ("bbbbbbbb run", []),
        ("bbbbbbbb run", ["bbbbbbbb 9-0"]),
        ("cccccccc run", ["aaaaaaaa 0-0", "bbbbbbbb 9-0"]),
    ):
        assert PLACE.in_generation(mark, generations) is None


def test_the_place_moves_with_what_is_read() -> None:
    assert PLACE.after([]) == PLACE
    assert PLACE.after(["5-2", "7-0"])[:2] == ("7-0", 5)
