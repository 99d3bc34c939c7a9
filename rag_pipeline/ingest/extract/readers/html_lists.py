"""The numbers of the lists of HTML."""

from __future__ import annotations

import re

from rag_pipeline.ingest.extract.html_tree import Element
from rag_pipeline.ingest.extract.readers.list_numbers import write_number

LISTS = frozenset({"ol", "ul", "menu", "dir"})
_INTEGER = re.compile(r"\s*+(-?[0-9]{1,6})")
_UNNUMBERED = re.compile(r"list-style(?:-type)?\s*+:[^;]{0,50}\b(?:none|disc|circle|square)\b", re.I)


class ListNumbers:
    """Counts the items of a list."""

    def __init__(self, element: Element) -> None:
        attributes = element.attributes
        self._is_numbered = element.tag == "ol" and not _UNNUMBERED.search(attributes.get("style", ""))
        self._format = attributes.get("type", "1")
        self._step = -1 if "reversed" in attributes else 1
        items = sum(isinstance(child, Element) and child.tag == "li" for child in element.children)
        self._number = _integer(attributes.get("start", ""), items if self._step < 0 else 1)

    def next(self, item: Element) -> str:
        """Return what stands before the next item: its number, or a dash."""
        if not self._is_numbered:
            return "- "
        number = _integer(item.attributes.get("value", ""), self._number)
        self._number = number + self._step
        return f"{write_number(number, self._format)}. "


def _integer(text: str, default: int) -> int:
    found = _INTEGER.match(text)
    return int(found[1]) if found else default
