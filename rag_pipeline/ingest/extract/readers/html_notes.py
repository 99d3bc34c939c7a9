"""Set the marks of footnotes in HTML off from the words before them."""

from __future__ import annotations

from rag_pipeline.ingest.extract.html_tree import Element

_MAX_MARK = 4
_CLASSES = frozenset({"footnote-ref", "footnoteref", "footnote-reference", "fnref", "noteref"})


def set_off_note_marks(root: Element) -> None:
    """Put each mark into brackets: ``three years [1]``, where ``years1`` would be another word."""
    done: set[int] = set()
    for element in root.elements():
        if id(element) not in done and _is_reference(element) and _is_mark(element.text()):
            done.update(id(inner) for inner in element.elements())
            element.children = [" [", *element.children, "]"]


def _is_reference(element: Element) -> bool:
    if element.tag == "sup":
        links = [child for child in element.children if isinstance(child, Element) and child.tag == "a"]
        return len(links) == 1 and links[0].attributes.get("href", "").startswith("#")
    if element.tag != "a":
        return False
    attributes = element.attributes
    return (
        attributes.get("role") == "doc-noteref"
        or "noteref" in attributes.get("epub:type", "")
        or not _CLASSES.isdisjoint(attributes.get("class", "").split())
    )


def _is_mark(text: str) -> bool:
    return 0 < len(text) <= _MAX_MARK and (text.isalnum() or text in ("*", "**", "†", "‡", "§"))
