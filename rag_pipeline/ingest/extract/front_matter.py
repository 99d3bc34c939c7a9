"""Read the front matter of Markdown: metadata in YAML or TOML above the text."""

from __future__ import annotations

import re

MAX_LINES = 200
_FENCES = {"---": ("---", "..."), "+++": ("+++",)}
_PAIR = re.compile(r"([A-Za-z_][\w -]{0,60}?)[ \t]{0,8}[:=](?:[ \t]++(.*+)|$)")
_ITEM = re.compile(r"[ \t]{0,20}-[ \t]++(.*+)")


def fence_of(line: str) -> tuple[str, ...]:
    """Return the lines that end the front matter which a first line begins; none if it begins none."""
    return _FENCES.get(line.rstrip(), ())


def parse_front_matter(lines: list[str]) -> dict[str, str] | None:
    """Return the plain values of front matter by key, lists joined by commas; None if the lines are none.

    Only the top level is read. It is not a YAML parser: tags, anchors and nested values are left out.
    """
    values: dict[str, str] = {}
    key = ""
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (item := _ITEM.match(line)) and key:
            values[key] = ", ".join(filter(None, [values[key], _plain(item[1])]))
        elif pair := _PAIR.match(line):
            key = pair[1].strip().lower()
            values[key] = _plain(pair[2] or "")
        elif not line.startswith((" ", "\t")) and not line.startswith("["):
            return None
    return values or None


def _plain(value: str) -> str:
    value = value.strip()
    if value in ("|", ">", "|-", ">-"):
        return ""
    if value.startswith("[") and value.endswith("]"):
        return ", ".join(_plain(part) for part in value[1:-1].split(","))
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return value
