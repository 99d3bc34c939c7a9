"""Tell the main text of a page from its navigation, where that is sure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from rag_pipeline.ingest.extract.html_tree import BLOCKS, Element

_NAVIGATION_TAGS = frozenset({"nav", "footer", "aside", "search", "menu"})
_NAVIGATION_ROLES = frozenset(
    {"navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "dialog", "alertdialog"}
)
_NAVIGATION_NAMES = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|sidebar|rail|footer|masthead|breadcrumbs?|cookies?|consent|gdpr|share"
    r"|sharing|sharedaddy|social|related|recommended|recommendations|recirc|newsletter|subscribe|subscription|signup"
    r"|promo|sponsored|ads?|advert|advertisement|comments?|disqus|respond|pagination|pager|skip|modal|popup|overlay"
    r"|toolbar|tags|widget|outbrain|taboola|trending|popular|teasers?|print|login|paywall)(?:$|[\s_-])",
    re.I,
)
_COMMENTS = re.compile(
    r"(?:^|\s)(?:comments?|comment-?list|comments-(?:area|section|list)|disqus_thread|respond|replies)(?:$|\s)", re.I
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CONTAINERS = frozenset("div section ul ol dl table td form header figure p li".split())  # noqa: SIM905
_PARAGRAPH_CHARACTERS = 80
_MIN_CHARACTERS = 400
_MIN_SHARE = 0.25
_NEARLY_ALL = 0.8
# Tables and definitions are part of a text whatever their length, if they are not links.
_DATA = frozenset({"td", "th", "dd", "dt", "pre"})
_MAX_PROSE = 0.6
_LINKS, _LINK_SHARE = 2, 0.5
_SECTIONS = frozenset("div section article main td table tbody tr center form".split())  # noqa: SIM905


@dataclass(slots=True)
class _Size:
    """The characters of text in an element, of those in links, of those in prose, and its number of links.

    ``data`` counts the prose in tables and definitions, ``own`` and ``own_linked`` the text that is not in a block
    within it.
    """

    text: int = 0
    linked: int = 0
    prose: int = 0
    links: int = 0
    data: int = 0
    own: int = 0
    own_linked: int = 0

    @property
    def link_share(self) -> float:
        return self.linked / self.text if self.text else 0.0


def navigation(root: Element) -> set[int]:
    """Return the ids of the elements around the main text; empty if the page may be anything else than an article."""
    sizes = _sizes(root)
    body = root.find("body") or root
    skipped: set[int] = set()
    marked = _main(body, sizes) or (_first_article(body, sizes) if _is_article(root) else None)
    _skip_inside(marked or body, sizes, skipped)
    kept = _sizes(body, skipped)
    main = _descend(marked or body, kept)
    if main is not body:
        _skip_outside(body, main, skipped)
    prose, whole = kept[id(main)].prose, sizes[id(body)].prose
    least = min(_MIN_CHARACTERS, _MIN_SHARE * whole) if marked is not None else max(_MIN_CHARACTERS, _MIN_SHARE * whole)
    return skipped if prose >= least and kept[id(main)].text else set()


def _descend(top: Element, sizes: dict[int, _Size]) -> Element:
    """Return the smallest element that holds nearly all prose."""
    element = top
    while True:
        prose = sizes[id(element)].prose
        parts = [child for child in element.children if isinstance(child, Element) and child.tag in _SECTIONS]
        large = max(parts, key=lambda child: sizes[id(child)].prose, default=None)
        if large is None or not prose or sizes[id(large)].prose < _NEARLY_ALL * prose:
            return element
        if sizes[id(large)].data < sizes[id(element)].data:
            return element  # a table beside the prose may be what the page is for
        element = large


def _sizes(root: Element, skipped: Container[int] = ()) -> dict[int, _Size]:
    """Return the size of each element by id, without the skipped ones."""
    sizes: dict[int, _Size] = {}
    stack = [(root, False)]
    while stack:
        element, is_done = stack.pop()
        if not is_done:
            stack.append((element, True))
            stack.extend((child, False) for child in element.children if isinstance(child, Element))
            continue
        size = sizes[id(element)] = _Size()
        if id(element) in skipped:
            continue
        for child in element.children:
            if isinstance(child, str):
                length = len(child.strip())
                size.text += length
                size.own += length
                continue
            part = sizes[id(child)]
            size.text += part.text
            size.linked += part.linked
            size.prose += part.prose
            size.data += part.data
            size.links += part.links
            size.own += part.own
            size.own_linked += part.own_linked
        if element.tag == "a":
            size.linked, size.links, size.own_linked = size.text, 1, size.own
        elif element.tag in BLOCKS:
            is_data = element.tag in _DATA
            if (is_data or size.own >= _PARAGRAPH_CHARACTERS) and size.own_linked < size.own / 2:
                size.data += size.own if is_data else 0
                size.prose += size.own
            size.own = size.own_linked = 0
    return sizes


def _main(body: Element, sizes: dict[int, _Size]) -> Element | None:
    """Return the element that holds the main text, if one says so and holds most of the page's prose."""
    prose = sizes[id(body)].prose
    found: list[Element] = []
    articles: list[Element] = []
    for element in body.elements():
        if element.tag == "main" or element.attributes.get("role") == "main":
            found.append(element)
        elif "articleBody" in element.attributes.get("itemprop", "") or element.tag == "article":
            articles.append(element)
    for group in (articles, found):
        large = max(group, key=lambda element: sizes[id(element)].prose, default=None)
        if large is not None and sizes[id(large)].text and sizes[id(large)].prose >= 0.75 * prose:
            if group is articles and not prose and not _is_all_beside_navigation(body, large, sizes):
                continue
            return large
    return None


def _is_all_beside_navigation(body: Element, article: Element, sizes: dict[int, _Size]) -> bool:
    """Return whether the rest of the page is in elements that say that they are not its text."""
    rest = sizes[id(body)].text - sizes[id(article)].text
    return rest <= sum(sizes[id(element)].text for element in _navigation_beside(body, article))


def _navigation_beside(body: Element, article: Element) -> Iterator[Element]:
    """Yield the elements of navigation that are neither in the article nor in each other."""
    stack = [body]
    while stack:
        element = stack.pop()
        if _says_navigation(element):
            yield element
        else:
            stack.extend(child for child in element.children if isinstance(child, Element) and child is not article)


def _says_navigation(element: Element) -> bool:
    return element.tag in _NAVIGATION_TAGS or element.attributes.get("role") in _NAVIGATION_ROLES


def _is_article(root: Element) -> bool:
    """Return whether the page's head says that it is one article, whatever follows below it."""
    head = root.find("head")
    return head is not None and any(
        element.attributes.get("property") == "og:type" and "article" in element.attributes.get("content", "")
        for element in head.elements()
    )


def _first_article(body: Element, sizes: dict[int, _Size]) -> Element | None:
    """Return the first article with prose, if it has a heading of its own."""
    articles = (e for e in body.elements() if e.tag == "article" and sizes[id(e)].prose >= _MIN_CHARACTERS)
    first = next(articles, None)
    return first if first is not None and first.find("h1") else None


def _skip_outside(body: Element, main: Element, skipped: set[int]) -> None:
    """Leave out all but the main element, the elements it is in, and the page's first heading."""
    inside = {id(element) for element in main.elements()}
    around = _ancestors(body, main)
    heading = None if main.find("h1") else next((e for e in body.elements() if e.tag == "h1"), None)
    keep = around | inside | (_ancestors(body, heading) | {id(heading)} if heading is not None else set())
    for element in body.elements():
        if id(element) not in keep:
            skipped.add(id(element))


def _ancestors(body: Element, target: Element) -> set[int]:
    """Return the ids of the elements on the way to one."""
    stack: list[tuple[Element, tuple[int, ...]]] = [(body, ())]
    while stack:
        element, above = stack.pop()
        if element is target:
            return set(above)
        stack.extend((child, (*above, id(element))) for child in element.children if isinstance(child, Element))
    return set()


def _skip_inside(top: Element, sizes: dict[int, _Size], skipped: set[int]) -> None:
    prose = sizes[id(top)].prose
    stack = [(top, _is_text(top))]
    while stack:
        element, in_text = stack.pop()
        for child in element.children:
            if not isinstance(child, Element):
                continue
            if id(child) not in skipped and _is_navigation(child, sizes[id(child)], prose, in_text=in_text):
                skipped.add(id(child))
            else:
                stack.append((child, in_text or _is_text(child)))


def _is_text(element: Element) -> bool:
    return element.tag in ("main", "article") or element.attributes.get("role") in ("main", "article")


def _is_navigation(element: Element, size: _Size, prose: int, *, in_text: bool) -> bool:
    if size.prose > _MAX_PROSE * prose and not (_is_comments(element) and prose - size.prose >= _MIN_CHARACTERS):
        return False
    role = element.attributes.get("role")
    if in_text and element.tag == "aside" and role in (None, "complementary", "note"):
        # Inside the text, most are notes and warnings.
        return _is_named(element) or (size.links >= _LINKS and size.link_share > _LINK_SHARE)
    if _says_navigation(element):
        return True
    if element.tag == "header" and not element.find("h1", "h2"):
        return True
    if element.tag not in _CONTAINERS:
        return False
    if _is_named(element):
        return True
    return size.links >= _LINKS and size.link_share > _LINK_SHARE and not size.prose and element.tag not in ("p", "td")


def _is_comments(element: Element) -> bool:
    """Return whether readers' comments are in it, which may be longer than the text."""
    return bool(_COMMENTS.search(f"{element.attributes.get('id', '')} {element.attributes.get('class', '')}"[:500]))


def _is_named(element: Element) -> bool:
    names = f"{element.attributes.get('id', '')} {element.attributes.get('class', '')}"[:500]
    return bool(_NAVIGATION_NAMES.search(_CAMEL.sub("-", names)))
