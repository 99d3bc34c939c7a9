"""Front matter of Markdown."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.front_matter import FrontMatter, fence_of, parse_front_matter


def test_values_of_the_top_level() -> None:
    lines = [
        "title: 'Leave: policy'\n", "# remark\n", "tags:\n", "  - a\n", "  - b\n", "draft: true\n",
        "x = 5\n", "list: [p, 'q']\n", "\n", "nested:\n", "  key: value\n", "text: |\n", "  more\n",
    ]  # fmt: skip
    assert parse_front_matter(lines) == FrontMatter({
        "title": "Leave: policy", "tags": "a, b", "draft": "true", "x": "5", "list": "p, q", "nested": "",
        "text": "more",
    }, ["more"])  # fmt: skip


def test_texts_over_several_lines() -> None:
    lines = [
        "title: >-\n", "  Long\n", "  title\n", "abstract: |\n", "  First line.\n", "\n", "  # not a remark\n",
        "tags: [a]\n",
    ]  # fmt: skip
    found = parse_front_matter(lines)
    assert found == FrontMatter(
        {"title": "Long title", "abstract": "First line. # not a remark", "tags": "a"},
        ["First line. # not a remark"],
    )


@pytest.mark.parametrize("lines", [[], ["words only\n"], ["a: b\n", "words\n"]])
def test_other_lines_are_no_front_matter(lines: list[str]) -> None:
    assert parse_front_matter(lines) is None


def test_fences() -> None:
    assert fence_of("---\n") == ("---", "...")
    assert fence_of("+++\n") == ("+++",)
    assert fence_of("----\n") == ()
