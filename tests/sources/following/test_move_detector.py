"""Moved files, told from deleted ones by what is stored and by what is still to be read."""

from __future__ import annotations

from rag_pipeline.sources.following.move_detector import MissingFiles, MoveDetector
from rag_pipeline.sources.source import FoundFile


def found(**sizes: int) -> dict[str, FoundFile]:
    return {key: FoundFile(key, f"{key}.txt", f"file:///{key}", size, 1.0, "v") for key, size in sizes.items()}


def judge(
    moves: MoveDetector, missing: list[str], files: dict[str, FoundFile], unread: list[str], *elsewhere: str
) -> MissingFiles:
    return moves.classify(
        missing,
        files,
        lambda: unread,
        may_have_moved=lambda key: key in ("a", "b"),
        has_copy=lambda key: key in elsewhere,
        is_tracked=lambda key: key in ("a", "b"),
    )


def test_what_may_have_moved_waits_until_the_new_file_is_read() -> None:
    moves = MoveDetector({})
    assert judge(moves, [], found(a=3, b=4), []) == ([], [])
    assert judge(moves, ["a", "b"], found(c=3), ["c"]) == ([], ["b"])
    assert moves.is_waiting
    assert judge(moves, ["a", "b"], found(c=3), [], "a") == (["a"], ["b"])
    assert not moves.is_waiting


def test_what_may_have_moved_waits_though_a_copy_is_there() -> None:
    moves = MoveDetector({})
    judge(moves, [], found(a=3, x=9), [])
    # The copy may change before the new file is read: then the text would be nowhere.
    assert judge(moves, ["a"], found(c=3, x=9), ["c"], "a") == ([], [])
    assert judge(moves, ["a"], found(c=3, x=9), [], "a") == (["a"], [])


def test_a_file_that_turned_out_to_be_another_is_waited_for_no_more() -> None:
    moves = MoveDetector({"a": (3, 1.0)})  # of a process before
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], [])
    assert judge(moves, ["a"], found(c=3), []) == ([], ["a"])
    assert judge(moves, [], found(c=3), []) == ([], [])
    assert not moves.is_waiting


def test_a_file_that_was_busy_when_it_left_waits_when_it_is_missed() -> None:
    moves = MoveDetector({})
    judge(moves, [], found(a=3), [])
    assert judge(moves, [], found(c=3), ["c"]) == ([], [])  # a is under work, so this scan does not miss it
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], [])


def test_a_file_that_came_back_with_another_content_is_known_by_that() -> None:
    moves = MoveDetector({"a": (3, 1.0)})
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], [])
    judge(moves, [], found(a=4, c=3), ["c"])
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], ["a"])


def test_what_is_not_stored_waits_for_nothing() -> None:
    moves = MoveDetector({})
    judge(moves, [], found(x=3), [])
    assert judge(moves, ["x"], found(c=3), ["c"]) == ([], ["x"])


def test_what_nothing_is_known_of_is_gone() -> None:
    assert judge(MoveDetector({}), ["a"], found(c=3), ["c"]) == ([], ["a"])
