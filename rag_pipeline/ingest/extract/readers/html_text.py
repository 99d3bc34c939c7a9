"""Write the text of an HTML tree: paragraphs, lists, one line for each row of a table, headings."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from rag_pipeline.ingest.extract.html_tree import BLOCKS, Element
from rag_pipeline.ingest.extract.readers.html_lists import LISTS, ListNumbers
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_SPACED = frozenset("p table ul ol dl pre blockquote xmp listing".split())  # noqa: SIM905
_PREFORMATTED = frozenset({"pre", "xmp", "listing", "plaintext"})
HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ROW_GROUPS = frozenset({"thead", "tbody", "tfoot"})
_SPACE = re.compile(r"[ \t\r\n\f]+")
_WORD = re.compile(r"\w+")
_REPEATED = 0.8
_EMOJI = 8
_SHORT_ROW, _LONG_ROW = 300, 2000

Node = Element | str


class HtmlText:
    """Writes elements to a section writer. ``skipped`` holds the ids of elements to leave out."""

    def __init__(self, writer: SectionWriter, skipped: Container[int] = ()) -> None:
        self._writer = writer
        self._skipped = skipped
        self._line: list[str] = []
        self._prefix = ""
        self._preformatted = 0
        self._lists: list[ListNumbers] = []

    def write(self, element: Element) -> None:
        """Write an element with all in it."""
        # Pairs of a node and whether it ends; an explicit stack, because pages are nested deeply.
        stack: list[tuple[Node, bool]] = [(element, False)]
        while stack:
            node, is_end = stack.pop()
            if isinstance(node, str):
                self._text(node)
            elif is_end:
                self._end(node.tag)
            elif id(node) not in self._skipped and not self._write_whole(node):
                self._start(node)
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(node.children))
        self._break()

    def _write_whole(self, element: Element) -> bool:
        """Write an element that is not simply the text of its parts; return whether it was one."""
        if element.tag in HEADINGS:
            if element.find("table", "p", "div") and len(element.text()) > _SHORT_ROW:
                return False  # never closed
            self._break()
            self._writer.heading(HEADINGS[element.tag], self._folded(element))
        elif element.tag == "tr":
            cells = [cell for cell in element.children if isinstance(cell, Element) and cell.tag in ("td", "th")]
            texts = [text for cell in cells if (text := self._folded(cell))]
            if not _is_one_line(element, texts):
                return False
            self._break()
            self._writer.write(" | ".join(texts) + "\n")
        elif element.tag in ("select", "datalist"):
            # Options are not text. But a select that was never closed holds the rest of the page.
            return not element.find("p", "div", "table", "ul", "section", *HEADINGS)
        else:
            return False
        return True

    def _folded(self, element: Element) -> str:
        """Return the text of an element on one line."""
        pieces: list[str] = []
        stack: list[Node] = [element]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                pieces.append(node)
            elif node.tag == "img" and id(node) not in self._skipped:
                pieces.append(alternative_text(node))
            elif id(node) not in self._skipped and node.tag != "select":
                inner = _divided(node) if node.tag == "tr" else node.children
                stack.extend([" ", *reversed(inner), " "] if node.tag in BLOCKS else reversed(inner))
        return " ".join("".join(pieces).split())

    def _start(self, element: Element) -> None:
        tag = element.tag
        if tag == "img":
            self._line.append(alternative_text(element))
        elif tag in BLOCKS:
            self._break()
            self._preformatted += tag in _PREFORMATTED
            if tag in LISTS:
                self._lists.append(ListNumbers(element))
            elif tag == "li":
                self._prefix = self._lists[-1].next(element) if self._lists else "- "

    def _end(self, tag: str) -> None:
        if tag not in BLOCKS:
            return
        self._break()
        self._prefix = ""
        if tag in LISTS:
            self._lists.pop()
        if tag in _PREFORMATTED:
            self._preformatted -= 1
        if tag in _SPACED:
            self._writer.write("\n")

    def _text(self, text: str) -> None:
        self._line.append(text if self._preformatted else _SPACE.sub(" ", text))
        if self._preformatted and "\n" in text:
            self._writer.write("".join(self._line))
            self._line = []

    def _break(self) -> None:
        """End the line."""
        line = "".join(self._line)
        self._line = []
        if not self._preformatted:
            line = _SPACE.sub(" ", line).strip(" ")
        if line.strip():
            self._writer.write(self._prefix + line + "\n")
            self._prefix = ""


def alternative_text(picture: Element) -> str:
    """Return what a picture shows, in the words of the page; one word names a logo or an icon, so it is left out."""
    text = " ".join(picture.attributes.get("alt", "").split())
    if " " in text:
        return f" {text} "
    return text if len(text) <= _EMOJI and not text.isascii() and not text.isalnum() else ""


def repeated_pictures(body: Element, skipped: Container[int]) -> set[int]:
    """Return the ids of pictures whose alternative text repeats the text of the page, such as a caption or a title."""
    kept: list[str] = []
    pictures: list[Element] = []
    stack: list[Node] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            kept.append(node)
        elif id(node) not in skipped:
            stack.extend(node.children)
            if node.tag == "img":
                pictures.append(node)
            elif node.tag in BLOCKS:
                kept.append(" ")
    known = set(_WORD.findall("".join(kept).casefold()))
    return {id(picture) for picture in pictures if _repeats(alternative_text(picture), known)}


def _repeats(text: str, known: Container[str]) -> bool:
    words = _WORD.findall(text.casefold())
    return bool(words) and sum(word in known for word in words) >= _REPEATED * len(words)


def _divided(row: Element) -> list[Node]:
    """Return the parts of a row within a cell, with bars between its cells."""
    parts: list[Node] = []
    has_cell = False
    for child in row.children:
        is_cell = isinstance(child, Element) and child.tag in ("td", "th")
        parts += [" | ", child] if is_cell and has_cell else [child]
        has_cell = has_cell or is_cell
    return parts


def _is_one_line(row: Element, texts: Sequence[str]) -> bool:
    """Return whether a row is one of a table of data, not of the page's layout."""
    length = sum(map(len, texts))
    if not texts:
        return True
    if len(texts) < 2:
        return length <= _SHORT_ROW and not row.find("table", *HEADINGS)
    if length <= _SHORT_ROW:
        return True
    return length <= _LONG_ROW and not row.find("table", *HEADINGS)
