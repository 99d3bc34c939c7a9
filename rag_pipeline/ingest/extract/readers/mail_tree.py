"""The tree of the parts of a mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from email.message import MIMEPart

FORWARDED = frozenset({"message/rfc822", "message/global", "message/news"})
SHOWN = frozenset({"text/plain", "text/html"})


def parts_of(part: MIMEPart) -> list[MIMEPart]:
    """Return the parts in a part."""
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, MIMEPart)] if isinstance(payload, list) else []


def root_of(part: MIMEPart) -> MIMEPart:
    """Return the page of a page with its pictures: the part that ``start`` names, else the first text."""
    parts = parts_of(part)
    with suppress(LookupError, ValueError, TypeError):
        start = str(part.get_param("start") or "").strip()
        named = next((inner for inner in parts if start and str(inner.get("Content-ID", "")).strip() == start), None)
        if named is not None:
            return named
    return next((inner for inner in parts if inner.is_multipart() or inner.get_content_type() in SHOWN), parts[0])


def leaves_of(part: MIMEPart) -> Iterator[MIMEPart]:
    """Yield the parts in it that hold no others, and forwarded mails as a whole."""
    stack = [part]
    while stack:
        part = stack.pop()
        inner = parts_of(part)
        if inner and part.get_content_type() not in FORWARDED:
            stack.extend(reversed(inner))
        else:
            yield part


def shown_leaves(part: MIMEPart) -> list[MIMEPart]:
    """Return the parts in it whose text a person sees."""
    return [
        leaf
        for leaf in leaves_of(part)
        if leaf.get_content_type() in SHOWN and leaf.get_content_disposition() != "attachment"
    ]


def is_unnamed(leaf: MIMEPart) -> bool:
    """Return whether a part has content, and is not an attachment with a name."""
    with suppress(LookupError, ValueError, TypeError):
        if leaf.get_content_disposition() == "attachment" or leaf.get_filename():
            return False
    payload = leaf.get_payload()
    return isinstance(payload, str) and not payload.isspace() and payload != ""
