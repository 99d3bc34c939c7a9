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


def test_a_file_that_may_have_moved_waits_until_the_new_file_is_ingested() -> None:
    moves = MoveDetector({})
    assert judge(moves, [], found(a=3, b=4), []) == ([], [])
    assert judge(moves, ["a", "b"], found(c=3), ["c"]) == ([], ["b"])
    assert moves.is_waiting
    assert judge(moves, ["a", "b"], found(c=3), [], "a") == (["a"], ["b"])
    assert not moves.is_waiting


def test_a_file_that_may_have_moved_waits_although_a_copy_exists() -> None:
    moves = MoveDetector({})
    judge(moves, [], found(a=3, x=9), [])
    # If the copy changed before the new file is ingested, the text would be lost.
    assert judge(moves, ["a"], found(c=3, x=9), ["c"], "a") == ([], [])
    assert judge(moves, ["a"], found(c=3, x=9), [], "a") == (["a"], [])


def test_the_wait_ends_when_the_new_file_has_another_content() -> None:
    moves = MoveDetector({"a": (3, 1.0)})  # from an earlier process
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], [])
    assert judge(moves, ["a"], found(c=3), []) == ([], ["a"])
    assert judge(moves, [], found(c=3), []) == ([], [])
    assert not moves.is_waiting


def test_a_file_that_was_busy_when_it_left_is_recognized_later() -> None:
    moves = MoveDetector({})
    judge(moves, [], found(a=3), [])
    assert judge(moves, [], found(c=3), ["c"]) == ([], [])  # a is busy, so this scan does not miss it
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], [])


def test_a_file_that_came_back_is_known_by_its_new_content() -> None:
    moves = MoveDetector({"a": (3, 1.0)})
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], [])
    judge(moves, [], found(a=4, c=3), ["c"])
    assert judge(moves, ["a"], found(c=3), ["c"]) == ([], ["a"])


def test_a_file_that_is_not_stored_does_not_wait() -> None:
    moves = MoveDetector({})
    judge(moves, [], found(x=3), [])
    assert judge(moves, ["x"], found(c=3), ["c"]) == ([], ["x"])


def test_an_unknown_file_counts_as_gone() -> None:
    assert judge(MoveDetector({}), ["a"], found(c=3), ["c"]) == ([], ["a"])
