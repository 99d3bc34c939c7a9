"""The text of charts and SmartArt, which documents, slides and sheets keep in parts of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.opc import Relationship, read_part
from rag_pipeline.ingest.extract.readers.number_format import parse_format
from rag_pipeline.ingest.extract.readers.numbers import show_number
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_MAX_POINTS = 20_000
_CATEGORIES = frozenset({"cat", "xVal"})
_VALUES = frozenset({"val", "yVal"})


@dataclass(slots=True)
class _Series:
    name: str = ""
    categories: dict[int, str] = field(default_factory=dict)
    values: dict[int, str] = field(default_factory=dict)


class _Chart(XmlHandler):
    """Collects the titles of a chart and of its axes, and its series; charts of Excel 2016 have other elements."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.series: list[_Series] = []
        self._inside: list[str] = []
        self._pieces: list[str] | None = None
        self._points = 0
        self._index = 0
        self._format = "General"
        self._title: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._inside.append(name)
        if name in ("ser", "series") or name == "data":
            self.series.append(_Series())
        elif name in ("v", "t", "formatCode"):
            self._pieces = []
        elif name == "pt":
            self._index = int(index) if (index := attributes.get("idx", "")).isdecimal() and len(index) < 8 else 0
            self._pieces = []
        elif name in ("numCache", "strCache", "lvl", "strLit", "numLit"):
            self._format = attributes.get("formatCode", "General")

    def end(self, name: str) -> None:
        if self._inside:
            self._inside.pop()
        if name in ("v", "t", "formatCode", "pt") and self._pieces is not None:
            self._take(name, "".join(self._pieces))
            self._pieces = None
        elif name in ("title", "rich") and self._title:
            self.titles.append(" ".join("".join(self._title).split()))
            self._title = []
        elif name == "p" and self._title:
            self._title.append(" ")

    def text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)

    def _take(self, name: str, text: str) -> None:
        inside = set(self._inside)
        if name == "formatCode":
            self._format = text
        elif name == "t":
            self._title.append(text)
        elif "title" in inside and "ser" not in inside:
            self._title.append(text + " ")
        elif self.series and self._points < _MAX_POINTS and text.strip():
            self._points += 1
            self._take_point(inside, text)

    def _take_point(self, inside: set[str], text: str) -> None:
        series = self.series[-1]
        if inside & _CATEGORIES or "strDim" in inside:
            # Of the levels of a category, such as years of quarters, the lowest comes first.
            above = series.categories.get(self._index)
            series.categories[self._index] = f"{text} {above}" if above else self._shown(text)
        elif inside & _VALUES or "numDim" in inside:
            series.values[self._index] = self._shown(text)
        elif "tx" in inside:
            series.name = text

    def _shown(self, text: str) -> str:
        return show_number(text, parse_format(self._format))

    def lines(self, *, with_values: bool) -> list[str]:
        """Return the titles, then a line for each category with its values; without values, the series' names."""
        lines = list(dict.fromkeys(filter(None, self.titles)))
        if not with_values:
            names = list(dict.fromkeys(series.name for series in self.series if series.name))
            return lines + ([" | ".join(names)] if names else [])
        shown = [series for series in self.series if series.values]
        names = [series.name for series in self.series if series.name]
        if len(names) < 2 and len(shown) == 1 and names:
            shown[0].name = names[0]
        categories: dict[int, str] = {}
        for series in shown:
            categories = {**series.categories, **categories}
        for index in sorted({index for series in shown for index in series.values}):
            cells = [categories.get(index, "")]
            cells += [
                f"{series.name}: {series.values[index]}" if series.name else series.values[index]
                for series in shown
                if index in series.values
            ]
            lines.append(" | ".join(filter(None, cells)))
        return lines if shown else lines + names


class _Diagram(XmlHandler):
    """Collects the points of SmartArt that have text, and their tree."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._children: dict[str, list[tuple[int, str]]] = {}
        self._point = ""
        self._in_text = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "pt":
            self._point = attributes.get("modelId", "")
        elif name == "t":
            # The point's text is an element t that holds paragraphs, whose runs have elements t with characters.
            self._in_text = True
        elif name == "br":
            self._add(" ")
        elif name == "cxn" and attributes.get("type", "parOf") == "parOf":
            order = attributes.get("srcOrd", "0")
            child = (int(order) if order.isdecimal() and len(order) < 8 else 0, attributes.get("destId", ""))
            self._children.setdefault(attributes.get("srcId", ""), []).append(child)

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "p":
            self._add("\n")

    def text(self, text: str) -> None:
        if self._in_text:
            self._add(text)

    def _add(self, text: str) -> None:
        self.texts.setdefault(self._point, []).append(text)

    def lines(self) -> list[str]:
        """Return the texts in the order of the tree; points outside of it follow."""
        seen: dict[str, None] = {}
        parents = {child for children in self._children.values() for _, child in children}
        pending = [point for point in reversed(self._children) if point not in parents]
        while pending:
            point = pending.pop()
            if point not in seen:
                seen[point] = None
                pending += [child for _, child in sorted(self._children.get(point, ()), reverse=True)]
        points = [*seen, *(point for point in self.texts if point not in seen)]
        texts = ("".join(self.texts.get(point, ())) for point in points)
        return [line for text in texts for line in (" ".join(line.split()) for line in text.split("\n")) if line]


def drawing_ids(name: str, attributes: Mapping[str, str]) -> str | None:
    """Return the id of the relationship to a chart or to SmartArt, if the element refers to one."""
    if name == "chart":
        return attribute(attributes, "id")
    return attribute(attributes, "dm") if name == "relIds" else None


def drawing_lines(
    archive: ZipArchive, relation: Relationship | None, writer: SectionWriter, *, with_values: bool = True
) -> list[str]:
    """Return the text of a chart or of SmartArt; a missing or damaged one gives a warning."""
    if relation is None:
        return []
    if relation.kind in ("chart", "chartEx"):
        chart = _Chart()
        return chart.lines(with_values=with_values) if read_part(archive, relation, chart, writer) else []
    if relation.kind == "diagramData":
        diagram = _Diagram()
        return diagram.lines() if read_part(archive, relation, diagram, writer) else []
    return []
