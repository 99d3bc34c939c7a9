from __future__ import annotations

import pytest

from rag_pipeline.errors import RagPipelineError
from rag_pipeline.status.failures import failure


class BusyError(RagPipelineError):
    retryable = True


class BrokenError(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    @property
    def retryable(self) -> bool:
        raise RuntimeError


def test_an_exception_shows_its_type_and_message() -> None:
    assert failure(ValueError("no text")) == ("ValueError", "no text", None, False)


def test_an_exception_can_say_that_it_is_retryable() -> None:
    assert failure(BusyError("later")).retryable is True


def test_an_exception_without_a_message_shows_its_type() -> None:
    assert failure(KeyboardInterrupt()).message == "KeyboardInterrupt"


def test_a_broken_exception_is_still_shown() -> None:
    assert failure(BrokenError()) == ("BrokenError", "BrokenError", None, False)


def test_messages_and_types_are_bounded() -> None:
    assert len(failure(ValueError("x" * 10_000)).message) == 1000
    assert len(failure(type("E" * 500, (Exception,), {})()).type) == 200
    assert failure(OSError(2, "gone", "caf\udce9")).message == "[Errno 2] gone: 'caf\\udce9'"
    assert failure("caf\udce9").message == "caf\\xe9"


def test_a_text_or_none_is_a_failure() -> None:
    assert failure("broken") == ("Error", "broken", None, False)
    assert failure(None) == failure("  ") == ("Error", "no reason was given", None, False)


def test_a_mapping_sets_each_field() -> None:
    shown = failure({"type": "Timeout", "message": "slow", "stage": "embedding", "retryable": True})
    assert shown == ("Timeout", "slow", "embedding", True)
    assert failure({}) == ("Error", "no reason was given", None, False)
    assert failure({"message": " "}).message == "no reason was given"


@pytest.mark.parametrize("wrong", [1, ["x"], {"type": 3}, {"stage": 3}])
def test_anything_else_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        failure(wrong)  # type: ignore[arg-type]


def test_a_mapping_with_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="error has no 'reason'; it has type, message, stage, retryable"):
        failure({"reason": "the disk is full"})
