from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.journal import Generations
from rag_pipeline.journal.redis.cursor import StreamCursor

CURSOR = StreamCursor("5-1", 3, "aaaaaaaa run", Generations("aaaaaaaa"))


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_a_stream_is_gapless_if_it_has_every_entry_after_the_cursor_and_lost_none(
    read: int, more: int, removed: int, forgotten: int
) -> None:
    """Of ``read + more`` entries the newest are lost, as with an older file; then the oldest are removed."""
    added = max(0, read + more - forgotten)
    removed = min(removed, added)
    exists = removed < read <= added
    stream = {"entries-added": added, "length": added - removed}
    gapless = removed <= read <= added
    assert CURSOR._replace(added=read).is_gapless(stream, exists=exists) is gapless


def test_the_cursor_is_unchanged_while_the_identity_is() -> None:
    assert CURSOR.in_generation("aaaaaaaa run", []) is CURSOR


def test_the_cursor_continues_in_a_generation_that_has_everything_up_to_it() -> None:
    for start, continues in (("5-1", True), ("6-0", True), ("5-0", False)):
        moved = CURSOR.in_generation("bbbbbbbb run2", ["aaaaaaaa 0-0", f"bbbbbbbb {start}"])
        assert (moved is not None) is continues
        if moved is not None:
            assert moved[:3] == ("5-1", 3, "bbbbbbbb run2")
            assert moved.generations.identity == "bbbbbbbb"


def test_the_cursor_does_not_continue_in_another_journal() -> None:
    for mark, generations in (
        ("", []),
        ("bbbbbbbb run", []),
        ("bbbbbbbb run", ["bbbbbbbb 9-0"]),
        ("cccccccc run", ["aaaaaaaa 0-0", "bbbbbbbb 9-0"]),
    ):
        assert CURSOR.in_generation(mark, generations) is None


def test_the_cursor_moves_with_each_read() -> None:
    assert CURSOR.after([]) == CURSOR
    assert CURSOR.after(["5-2", "7-0"])[:2] == ("7-0", 5)
