"""Parse HTML as browsers do, into a light tree of the visible elements.

The parser is lexbor, by selectolax. It takes quadratic time for elements nested thousands deep, so such a page is
flattened first: its paragraphs, headings and line breaks remain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from rag_pipeline.ingest.extract.html_parser import HtmlParser

BLOCKS = frozenset(
    """address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption
    figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol optgroup option p
    plaintext pre search section summary table tbody td textarea tfoot th thead tr ul xmp""".split()  # noqa: SIM905
)
MAX_DEPTH = 500
_SKIPPED = frozenset(
    """annotation annotation-xml applet audio canvas datalist frame iframe input map noembed noscript object param
    rp rt script style svg template track video""".split()  # noqa: SIM905
)
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
# Closed by the next of their kind, so they don't nest.
_SELF_CLOSING = _VOID | frozenset("p li dd dt tr td th tbody thead tfoot option optgroup colgroup".split())  # noqa: SIM905
_KEPT_WHEN_FLAT = frozenset("p br hr h1 h2 h3 h4 h5 h6 li title".split())  # noqa: SIM905
_HIDING_STYLE = re.compile(r"(?:^|;)\s*+(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden)\b", re.I)
_EMPTY_XML_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*+)([^<>/]*+(?:/[^<>/]++)*+)/>")
_XHTML = re.compile(r"\s*+<\?xml|[^>]{0,500}<html[^>]{0,500}http://www\.w3\.org/1999/xhtml", re.I)


class Element:
    """An element: its tag, its attributes, and its elements and pieces of text, in order."""

    __slots__ = ("attributes", "children", "tag")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def elements(self) -> Iterator[Element]:
        """Yield this element and all in it, in order."""
        stack = [self]
        while stack:
            element = stack.pop()
            yield element
            stack.extend(child for child in reversed(element.children) if isinstance(child, Element))

    def find(self, *tags: str) -> Element | None:
        """Return the first element with one of the tags, or None."""
        return next((element for element in self.elements() if element.tag in tags), None)

    def text(self) -> str:
        """Return the text in it, with single spaces."""
        pieces: list[str] = []
        stack: list[Element | str] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                pieces.append(node)
            else:
                stack.extend(reversed(node.children))
        return " ".join("".join(pieces).split())


def parse_html(markup: str) -> Element:
    """Return the ``html`` element of a page, without scripts, hidden elements and comments."""
    root = _parse(markup)
    for element in root.elements():
        if element.tag == "noframes":  # its content is a page, which parsers take for text
            inside = _parse("".join(child for child in element.children if isinstance(child, str)))
            element.children = [child for child in inside.children if isinstance(child, Element)]
            for nested in inside.elements():
                if nested.tag == "noframes":
                    nested.children = []
    return root


def _parse(markup: str) -> Element:
    from selectolax.lexbor import LexborHTMLParser

    if _XHTML.match(markup):
        markup = _EMPTY_XML_TAG.sub(_open_and_close, markup)
    if _may_be_deep(markup) and _depth(markup) > MAX_DEPTH:
        markup = _flattened(markup)
    root = Element("html", {})
    node = LexborHTMLParser(markup).root
    stack = [(node, root)]
    while stack:
        source, target = stack.pop()
        child = source.first_child if source is not None else None
        while child is not None:
            tag = child.tag
            if tag == "-text":
                target.children.append(child.text_content or "")
            elif tag and tag[0] not in "-!" and tag not in _SKIPPED:
                attributes = {name: value or "" for name, value in child.attributes.items()}
                if not _is_hidden(tag, attributes):
                    element = Element(tag, attributes)
                    target.children.append(element)
                    stack.append((child, element))
            child = child.next
    return root


def _is_hidden(tag: str, attributes: dict[str, str]) -> bool:
    if tag == "dialog" and "open" not in attributes:
        return True
    style = attributes.get("style")
    return "hidden" in attributes or bool(style and _HIDING_STYLE.search(style))


def _open_and_close(match: re.Match[str]) -> str:
    tag = match[1].lower()
    return match[0] if tag in _VOID else f"<{match[1]}{match[2]}></{match[1]}>"


def _may_be_deep(markup: str) -> bool:
    return markup.count("<") > MAX_DEPTH * 2


class _Depth(HtmlParser):
    """Counts how deep elements may be nested: the open ones of each name, at the worst moment."""

    def __init__(self) -> None:
        super().__init__()
        self.worst = 0
        self._open: dict[str, int] = {}
        self._depth = 0

    def open_tag(self, tag: str, *, is_empty: bool) -> None:  # noqa: ARG002
        if tag not in _SELF_CLOSING:
            self._open[tag] = self._open.get(tag, 0) + 1
            self._depth += 1
            self.worst = max(self.worst, self._depth)

    def close_tag(self, tag: str) -> None:
        if self._open.get(tag, 0):
            self._open[tag] -= 1
            self._depth -= 1

    def data(self, text: str) -> None:
        pass


def _depth(markup: str) -> int:
    parser = _Depth()
    parser.feed(markup)
    parser.close()
    return parser.worst


class _Flat(HtmlParser):
    """Keeps text, paragraphs, headings and line breaks; all else becomes a space."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def open_tag(self, tag: str, *, is_empty: bool) -> None:  # noqa: ARG002
        if tag in ("tr", "div", "table"):
            self.pieces.append("<p>")
        elif tag in ("td", "th"):
            self.pieces.append(" | ")
        elif tag in _KEPT_WHEN_FLAT:
            # An open heading would hold those below it.
            self.pieces.append(f"</h1><{tag}>" if tag[0] == "h" else f"<{tag}>")

    def close_tag(self, tag: str) -> None:
        if tag in _KEPT_WHEN_FLAT:
            self.pieces.append(f"</{tag}>")

    def data(self, text: str) -> None:
        self.pieces.append(escape(text, quote=False))


def _flattened(markup: str) -> str:
    parser = _Flat()
    parser.feed(markup)
    parser.close()
    return "".join(parser.pieces)
