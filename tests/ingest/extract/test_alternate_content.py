"""One version of alternative content is read."""

from __future__ import annotations

from rag_pipeline.ingest.extract.alternate_content import AlternateContent


def test_the_first_choice_is_read_and_the_fallback_only_without_one() -> None:
    content = AlternateContent()
    assert [content.start(name) for name in ("AlternateContent", "Choice", "Choice", "Fallback")] == [
        False, False, True, True,
    ]  # fmt: skip
    content.end("AlternateContent")
    assert [content.start(name) for name in ("AlternateContent", "Fallback", "p")] == [False, False, False]


def test_they_nest() -> None:
    content = AlternateContent()
    assert not any(content.start(name) for name in ("AlternateContent", "Choice", "AlternateContent", "Choice"))
    assert content.start("Fallback")
    content.end("AlternateContent")
    assert content.start("Fallback")


def test_stray_tags_do_no_harm() -> None:
    content = AlternateContent()
    content.end("AlternateContent")
    assert not content.start("Choice")
    assert not content.start("Fallback")
