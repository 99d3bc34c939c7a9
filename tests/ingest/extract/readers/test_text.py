"""Plain text, JSON and Markdown."""

from __future__ import annotations

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
