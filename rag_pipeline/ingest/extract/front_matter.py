"""Read the front matter of Markdown: metadata in YAML or TOML above the text."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_LINES = 200
_FENCES = {"---": ("---", "..."), "+++": ("+++",)}
_PAIR = re.compile(r"([A-Za-z_][\w -]{0,60}?)[ \t]{0,8}[:=](?:[ \t]++(.*+)|$)")
_ITEM = re.compile(r"[ \t]{0,20}-[ \t]++(.*+)")
_BLOCK = re.compile(r"[|>][0-9+-]{0,2}")


class FrontMatter(NamedTuple):
    """Front matter: plain values by key, and the texts that are written over several lines, such as an abstract."""

    plain: dict[str, str]
    blocks: list[str]


def fence_of(line: str) -> tuple[str, ...]:
    """Return the lines that end the front matter which a first line begins; none if it begins none."""
    return _FENCES.get(line.rstrip(), ())


def parse_front_matter(lines: list[str]) -> FrontMatter | None:
    """Return the plain values of front matter by key, lists joined by commas; None if the lines are none.

    A text over several lines is a value too. Only the top level is read. It is not a YAML parser: tags, anchors and
    nested values are left out.
    """
    values: dict[str, str] = {}
    blocks: list[str] = []
    key, is_block = "", False
    for line in lines:
        is_indented = line.startswith((" ", "\t"))
        if is_block and (is_indented or not line.strip()):
            values[key] = f"{values[key]} {line.strip()}".strip()
            continue
        is_block = False
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (item := _ITEM.match(line)) and key:
            values[key] = ", ".join(filter(None, [values[key], _plain(item[1])]))
        elif pair := _PAIR.match(line):
            key, value = pair[1].strip().lower(), (pair[2] or "").strip()
            is_block = _BLOCK.fullmatch(value) is not None
            values[key] = "" if is_block else _plain(value)
            if is_block:
                blocks.append(key)
        elif not is_indented and not line.startswith("["):
            return None
    texts = [values[block] for block in blocks if block != "title" and values[block]]
    return FrontMatter(values, texts) if values else None


def _plain(value: str) -> str:
    value = value.strip()
    if value.startswith("[") and value.endswith("]"):
        return ", ".join(_plain(part) for part in value[1:-1].split(","))
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return value
