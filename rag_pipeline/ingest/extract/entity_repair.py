"""Mend references in XML that a parser would stop at: ``&nbsp;`` without its declaration, and a bare ``&``."""

from __future__ import annotations

import re
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|[A-Za-z_:][\w.:-]{0,60};)?")
_DECLARED = re.compile(r"<!ENTITY\s++(?:%\s++)?([^\s\"'>]{1,100})")
_OF_XML = frozenset({"amp", "lt", "gt", "quot", "apos"})
_START, _END = "<![CDATA[", "]]>"
_MAX_REFERENCE = 64


class EntityRepair:
    """Mends a document that comes in pieces; text in CDATA stays as it is."""

    def __init__(self) -> None:
        self._rest = ""
        self._in_cdata = False
        self._declared: set[str] = set(_OF_XML)

    def feed(self, text: str, *, is_last: bool = False) -> str:
        """Return the mended text of the pieces so far; the end of a piece may be held back."""
        text, self._rest = self._rest + text, ""
        if not is_last:
            cut = self._cut(text)
            text, self._rest = text[:cut], text[cut:]
        pieces = []
        at = 0
        while at < len(text):
            found = text.find(_END if self._in_cdata else _START, at)
            end = found + len(_END) if found >= 0 and self._in_cdata else found if found >= 0 else len(text)
            pieces.append(text[at:end] if self._in_cdata else self._mend(text[at:end]))
            at = end
            if found >= 0:
                self._in_cdata = not self._in_cdata
                if self._in_cdata:
                    pieces.append(_START)
                    at += len(_START)
        return "".join(pieces)

    def _cut(self, text: str) -> int:
        """Return where the last construct begins that the next piece may continue."""
        start = max(0, len(text) - _MAX_REFERENCE)
        return min((at for mark in ("&", "<", "]") if (at := text.rfind(mark, start)) >= 0), default=len(text))

    def _mend(self, text: str) -> str:
        if "<!ENTITY" in text:
            self._declared.update(_DECLARED.findall(text))
        return _REFERENCE.sub(self._replace, text) if "&" in text else text

    def _replace(self, match: re.Match[str]) -> str:
        reference = match[0]
        if reference.startswith("&#"):
            return reference if _is_character(reference[2:-1]) else "\ufffd"
        if reference == "&":
            return "&amp;"
        name = reference[1:-1]
        if name in self._declared:
            return reference
        return html5.get(name + ";", "&amp;" + reference[1:])


def _is_character(number: str) -> bool:
    """Return whether XML allows the character with this number."""
    code = int(number[1:], 16) if number[0] in "xX" else int(number)
    return code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
