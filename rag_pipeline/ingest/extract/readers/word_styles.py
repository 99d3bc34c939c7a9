"""The styles and lists of a Word document: which paragraphs are headings, hidden or numbered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.readers.list_numbers import BULLET, write_number
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_HEADING_NAME = re.compile(r"heading ([1-9])$", re.I)
_PLACE = re.compile(r"%([1-9])")
_MAX_BASES = 20
BODY_LEVEL = 9  # the outline level of body text


def whole_number(text: str | None, default: int = 0) -> int:
    """Return the value of an attribute as a number; the default if it is none."""
    if text is None or len(text) > 9:
        return default
    return int(text) if text.removeprefix("-").isdecimal() else default


def is_on(attributes: Mapping[str, str]) -> bool:
    """Return whether a property such as ``vanish`` is on; without a value it is."""
    return (attribute(attributes, "val") or "1") not in ("0", "false", "off", "none")


@dataclass(slots=True)
class ParagraphStyle:
    """A style: its heading level, its list and level in it, whether its text is hidden, and the style it is based on.

    None stands for what the base decides.
    """

    level: int | None = None
    list_id: str | None = None
    list_level: int | None = None
    is_hidden: bool | None = None
    base: str = ""


class Styles(XmlHandler):
    """Collects the styles; headings are found by name and outline level, as style ids are translated."""

    def __init__(self) -> None:
        self._styles: dict[str, ParagraphStyle] = {}
        self._style = ParagraphStyle()
        self._ignored = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take a style or one of its properties."""
        value = attribute(attributes, "val") or ""
        if name == "style":
            self._style = self._styles[attribute(attributes, "styleId") or ""] = ParagraphStyle()
        elif name == "name" and (match := _HEADING_NAME.match(value)):
            self._style.level = int(match[1])
        elif name == "name" and value.lower() == "title":
            self._style.level = 0
        elif name == "basedOn":
            self._style.base = value
        elif name == "outlineLvl" and self._style.level is None:
            self._style.level = whole_number(value, BODY_LEVEL) + 1
        elif name == "numId":
            self._style.list_id = value
        elif name == "ilvl":
            self._style.list_level = whole_number(value)
        elif name == "vanish":
            self._style.is_hidden = is_on(attributes)

    def resolve(self, identifier: str) -> ParagraphStyle:
        """Return a style with what it takes from the styles it is based on."""
        result = ParagraphStyle()
        for _ in range(_MAX_BASES):
            style = self._styles.get(identifier)
            if style is None:
                break
            result.level = style.level if result.level is None else result.level
            result.list_id = style.list_id if result.list_id is None else result.list_id
            result.list_level = style.list_level if result.list_level is None else result.list_level
            result.is_hidden = style.is_hidden if result.is_hidden is None else result.is_hidden
            identifier = style.base
        if result.level is not None and result.level > BODY_LEVEL:
            result.level = None
        return result


@dataclass(slots=True)
class Level:
    """A level of a list: its first number, its format, and its text, in which ``%1`` stands for the first number."""

    start: int = 1
    number_format: str = "decimal"
    text: str | None = None
    style: str = ""
    restart: int | None = None
    is_legal: bool = False


@dataclass(slots=True)
class _List:
    """A list: its definition, and the levels and first numbers that it changes."""

    definition: str = ""
    levels: dict[int, Level] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)


class Numbering(XmlHandler):
    """Collects the lists, and counts their paragraphs."""

    def __init__(self) -> None:
        self._definitions: dict[str, dict[int, Level]] = {}
        self._links: dict[str, str] = {}
        self._lists: dict[str, _List] = {}
        self._levels: dict[int, Level] = {}
        self._level = Level()
        self._definition = ""
        self._list: _List | None = None
        self._override = 0
        self._counters: dict[str, dict[int, int]] = {}
        self._started: set[tuple[str, int]] = set()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take a list, a level or a property."""
        value = attribute(attributes, "val") or ""
        match name:
            case "abstractNum":
                self._definition = attribute(attributes, "abstractNumId") or ""
                self._levels = self._definitions[self._definition] = {}
                self._list = None
            case "numStyleLink":
                self._links[self._definition] = value
            case "num":
                self._list = self._lists[attribute(attributes, "numId") or ""] = _List()
                self._levels = self._list.levels
            case "abstractNumId" if self._list is not None:
                self._list.definition = value
            case "lvlOverride":
                self._override = whole_number(attribute(attributes, "ilvl"))
            case "startOverride" if self._list is not None:
                if 0 <= self._override < BODY_LEVEL:
                    self._list.starts[self._override] = whole_number(value)
            case "lvl":
                self._level = Level()
                level = whole_number(attribute(attributes, "ilvl"))
                if 0 <= level < BODY_LEVEL:
                    self._levels[level] = self._level
            case _:
                self._take_property(name, value, attributes)

    def _take_property(self, name: str, value: str, attributes: Mapping[str, str]) -> None:
        match name:
            case "start":
                self._level.start = whole_number(value)
            case "numFmt":
                self._level.number_format = value
            case "lvlText":
                self._level.text = value
            case "pStyle":
                self._level.style = value
            case "lvlRestart":
                self._level.restart = whole_number(value)
            case "isLgl":
                self._level.is_legal = is_on(attributes)

    def define(self, definition: str, levels: dict[int, Level]) -> None:
        """Add a definition of a list."""
        self._definitions[definition] = levels

    def use(self, list_id: str, definition: str, levels: dict[int, Level], starts: dict[int, int]) -> None:
        """Add a list, with the levels and first numbers that it changes."""
        self._lists[list_id] = _List(definition, levels, starts)

    def label(self, list_id: str, level: int | None, style: str, styles: Styles) -> str:
        """Count a paragraph of a list, and return its number as shown, such as ``2.1.``; empty without one."""
        found = self._lists.get(list_id)
        if found is None:
            return ""
        definition = found.definition
        if definition in self._links:  # the list is that of a style
            linked = styles.resolve(self._links[definition]).list_id
            found = self._lists.get(linked or "", found)
            definition = found.definition
        levels = {**self._definitions.get(definition, {}), **found.levels}
        if level is None:
            level = next((at for at, entry in levels.items() if style and entry.style == style), 0)
        if level not in levels:
            return ""
        counters = self._counters.setdefault(definition, {})
        self._count(counters, level, levels, list_id, found)
        return _label(levels, level, counters)

    def _count(
        self, counters: dict[int, int], level: int, levels: dict[int, Level], list_id: str, found: _List
    ) -> None:
        if level in found.starts and (list_id, level) not in self._started:
            self._started.add((list_id, level))
            counters[level] = found.starts[level]
        elif level in counters:
            counters[level] += 1
        else:
            counters[level] = levels[level].start
        for above in range(level):
            if above in levels and above not in counters:
                counters[above] = levels[above].start
        for below in [at for at in counters if at > level]:
            restart = levels[below].restart if below in levels else None
            if restart is None or (restart and level < restart):
                del counters[below]


def _label(levels: Mapping[int, Level], level: int, counters: Mapping[int, int]) -> str:
    entry = levels[level]
    if entry.number_format == "bullet":
        return BULLET
    text = entry.text if entry.text is not None else f"%{level + 1}."

    def number(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        number_format = "decimal" if entry.is_legal else levels[at].number_format if at in levels else "decimal"
        return write_number(counters.get(at, 0), number_format)

    return _PLACE.sub(number, text)
