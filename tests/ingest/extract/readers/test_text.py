"""Plain text, JSON and Markdown."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import read


def test_locators_are_ranges_of_lines_split_at_empty_lines() -> None:
    paragraph = ("words " * 12 + "\n") * 40 + "\n"
    sections = read(paragraph.encode() * 4, "a.log")
    places = [locator for locator, _ in sections]
    assert places == ["lines 1-82", "lines 83-164"]
    assert all(text.startswith("words") for _, text in sections)


def test_a_very_long_line_is_read_in_pieces() -> None:
    sections = read(b"word " * 100_000, "a.txt")
    assert {locator for locator, _ in sections} == {"line 1"}
    assert sum(text.count("word") for _, text in sections) == 100_000


def test_the_colours_of_a_log_are_left_out() -> None:
    assert read(b"\x1b[32mINFO\x1b[0m done\n", "a.log") == [("line 1", "INFO done")]


def test_json_is_read_with_escapes_decoded() -> None:
    data = rb'{"city": "K\u00f6ln", "face": "\ud83d\ude00", "end": "a\u000ab", "half": "\ud83d"}'
    ((locator, text),) = read(data, "a.json")
    assert locator == "line 1"
    assert text == '{"city": "Köln", "face": "😀", "end": "a\\u000ab", "half": "\ufffd"}'


def test_markdown_locators_are_headings() -> None:
    data = b"intro\n# One #\na\n```\n# no heading\n```\n## Two\nb\n\nThree\n=====\nc\n- item\n---\n"
    data += b"~~~~\n# code\n~~~\n~~~~\nend"
    assert [(locator, text.split()[0]) for locator, text in read(data, "a.md")] == [
        ("", "intro"),
        ("One", "One"),
        ("One › Two", "Two"),
        ("Three", "Three"),
    ]
    assert "# no heading" in read(data, "a.md")[1][1]
    assert read(data, "a.md")[-1][1].endswith("end")


def test_front_matter_describes_the_file() -> None:
    data = b"---\ntitle: Leave policy\ntags: [a, b]\n---\n\nThirty days.\n\n## Sick leave\n\nCall.\n"
    assert read(data, "a.md") == [("", "Thirty days."), ("Sick leave", "Sick leave\n\nCall.")]
    assert read(b"+++\ntitle = 'x'\n+++\ntext", "a.md") == [("", "text")]
    assert read(b"---\nabstract: |\n  It costs\n  ninety.\n---\ntext", "a.md") == [("", "It costs ninety.\n\ntext")]


@pytest.mark.parametrize("data", [b"---\nA rule above: and text.\nMore text\n---\nend", b"---\na: b\nnever closed"])
def test_a_rule_at_the_start_is_no_front_matter(data: bytes) -> None:
    text = "\n".join(text for _, text in read(data, "a.md"))
    assert "text" in text or "a: b" in text


def test_embedded_pictures_are_left_out_of_markdown() -> None:
    data = b"# Chart\n\n![chart](data:image/png;base64," + b"A" * 200_000 + b")\n\nSales rose.\n"
    assert read(data, "a.md") == [("Chart", "Chart\n\n![chart]()\n\nSales rose.")]
