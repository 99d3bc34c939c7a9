"""The styles of an OpenDocument file: what is hidden, and how lists and headings are numbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.readers.list_numbers import BULLET, write_number
from rag_pipeline.ingest.extract.readers.word_styles import whole_number
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_LEVELS = frozenset(
    {"list-level-style-number", "list-level-style-bullet", "list-level-style-image", "outline-level-style"}
)
_MAX_LEVEL = 10


@dataclass(slots=True)
class _Level:
    number_format: str = ""
    prefix: str = ""
    suffix: str = ""
    shown_levels: int = 1
    start: int = 1
    is_bullet: bool = False


class OdfStyles(XmlHandler):
    """Collects the styles of both parts that have some: styles.xml and the start of content.xml."""

    def __init__(self) -> None:
        self.hidden: set[str] = set()
        """The styles of text, slides and sheets that are not shown."""
        self._lists: dict[str, dict[int, _Level]] = {}
        self._outline: dict[int, _Level] = {}
        self._levels: dict[int, _Level] = {}
        self._parents: dict[str, str] = {}
        self._style = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take a style or a property."""
        if name == "style":
            self._style = attribute(attributes, "name") or ""
            self._parents[self._style] = attribute(attributes, "parent-style-name") or ""
        elif name == "list-style":
            self._levels = self._lists[attribute(attributes, "name") or ""] = {}
        elif name == "outline-style":
            self._levels = self._outline
        elif name in _LEVELS:
            self._levels[whole_number(attribute(attributes, "level"), 1)] = _Level(
                attribute(attributes, "num-format") or "",
                attribute(attributes, "num-prefix") or "",
                attribute(attributes, "num-suffix") or "",
                whole_number(attribute(attributes, "display-levels"), 1),
                whole_number(attribute(attributes, "start-value"), 1),
                name == "list-level-style-bullet",
            )
        elif name.endswith("-properties") and self._hides(attributes):
            self.hidden.add(self._style)

    def _hides(self, attributes: Mapping[str, str]) -> bool:
        return attribute(attributes, "display") in ("none", "false") or attribute(attributes, "visibility") == "hidden"

    def is_hidden(self, style: str | None) -> bool:
        """Return whether a style hides what has it."""
        seen = 0
        while style and seen < _MAX_LEVEL:
            if style in self.hidden:
                return True
            style = self._parents.get(style)
            seen += 1
        return False

    def list_label(self, style: str, level: int, numbers: Mapping[int, int]) -> str:
        """Return the number of a paragraph in a list, as shown."""
        return _label(self._lists.get(style, {}), level, numbers)

    def heading_label(self, level: int, numbers: Mapping[int, int]) -> str:
        """Return the number of a heading, as shown; empty if headings are not numbered."""
        return _label(self._outline, level, numbers)

    def first_number(self, style: str, level: int) -> int:
        """Return the first number of a level of a list."""
        return self._lists.get(style, {}).get(level, _Level()).start


def _label(levels: Mapping[int, _Level], level: int, numbers: Mapping[int, int]) -> str:
    entry = levels.get(level)
    if entry is None:
        return ""
    if entry.is_bullet:
        return BULLET
    if not entry.number_format:
        return ""
    shown = range(max(1, level - entry.shown_levels + 1), level + 1)
    formats = [levels[at].number_format if at in levels else "1" for at in shown]
    pieces = [
        write_number(numbers.get(at, 1), number_format)
        for at, number_format in zip(shown, formats, strict=True)
        if number_format
    ]
    return entry.prefix + ".".join(pieces) + entry.suffix


@dataclass(slots=True)
class _OpenList:
    style: str
    numbers: dict[int, int]
    continues: bool = False


@dataclass(slots=True)
class ListCounter:
    """Counts the items of nested lists."""

    styles: OdfStyles
    _open: list[_OpenList] = field(default_factory=list)
    _ended: dict[str, dict[int, int]] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _pending: bool = False

    def start_list(self, attributes: Mapping[str, str]) -> None:
        """Start a list, or a level of the list around it."""
        style = attribute(attributes, "style-name") or (self._open[-1].style if self._open else "")
        if self._open:
            numbers = self._open[-1].numbers
            numbers.pop(len(self._open) + 1, None)
        else:
            continued = attribute(attributes, "continue-numbering") == "true"
            before = attribute(attributes, "continue-list")
            source = self._ids.get(before, style) if before else style
            numbers = dict(self._ended.get(source, {})) if continued or before else {}
            if identifier := attribute(attributes, "id"):
                self._ids[identifier] = style
        self._open.append(_OpenList(style, numbers))

    def end_list(self) -> None:
        """End the list or level."""
        if self._open:
            ended = self._open.pop()
            if not self._open:
                self._ended[ended.style] = ended.numbers

    def start_item(self, attributes: Mapping[str, str]) -> None:
        """Start an item; its first paragraph has the number."""
        if not self._open:
            return
        level, current = len(self._open), self._open[-1]
        start = attribute(attributes, "start-value")
        if start is not None:
            current.numbers[level] = whole_number(start, 1)
        elif level in current.numbers:
            current.numbers[level] += 1
        else:
            current.numbers[level] = self.styles.first_number(current.style, level)
        self._pending = True

    def take_label(self) -> str:
        """Return the number for the paragraph that starts; empty if its item has one already."""
        if not (self._pending and self._open):
            return ""
        self._pending = False
        current = self._open[-1]
        return self.styles.list_label(current.style, len(self._open), current.numbers)
