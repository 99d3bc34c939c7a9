"""HTML split into tags and text, in time that grows with its length alone, whatever is in it.

The standard library's parser starts over at each tag or comment that is never closed. This one remembers what it is in
the middle of, and passes each character once. As in browsers, what is not closed lasts until the end of the page.
"""

from __future__ import annotations

import re
from html import unescape

_NAME = re.compile(r"[a-z][^\s/>]*+", re.I)
_ATTRIBUTES = re.compile(r"[^>=]*+")
_SPACE = re.compile(r"\s*+")
_COMMENT_END = re.compile(r"--!?>")
_CDATA_END = re.compile(r"\]\]>")
_DECLARATION_END = re.compile(r">")
_RAW_END = {name: re.compile(rf"(?=</{name}[\s/>])", re.I) for name in ("script", "style")}
# The longest begins and ends, which may be cut in two by the end of what is fed.
_MAX_MARK = 10
_MAX_REFERENCE = 34
_MAX_NAME = 1000


class HtmlParser:
    """Calls ``open_tag``, ``close_tag`` and ``data`` for the markup fed to it; give it all, then call ``close``.

    Attributes, comments, declarations, and the content of scripts and styles are left out.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._is_last = False
        self._go_on = self._in_text
        self._end = _COMMENT_END  # of what is skipped
        self._quote = ""
        self._tag = ""
        self._is_closing = False
        self._is_empty = False

    def open_tag(self, tag: str, *, is_empty: bool) -> None:
        """Take an opening tag, its name in small letters; one that is empty has no closing tag."""
        raise NotImplementedError

    def close_tag(self, tag: str) -> None:
        """Take a closing tag."""
        raise NotImplementedError

    def data(self, text: str) -> None:
        """Take text with its references replaced; a stretch of it may come in pieces."""
        raise NotImplementedError

    def feed(self, markup: str) -> None:
        """Take the next part of the page."""
        text, at = self._rest + markup, 0
        while at < len(text) and (after := self._go_on(text, at)) is not None:
            at = after
        self._rest = text[at:]

    def close(self) -> None:
        """Take the end of the page."""
        self._is_last = True
        self.feed("")

    # Each of these is what it is in the middle of. It returns where to go on, or None to wait for more.

    def _in_text(self, text: str, at: int) -> int | None:
        begin = text.find("<", at)
        end = len(text) if begin < 0 else begin
        if begin < 0 and not self._is_last:
            reference = text.rfind("&", max(at, end - _MAX_REFERENCE))
            end = end if reference < 0 else reference
        if end > at:
            self.data(unescape(text[at:end]))
            return end
        return None if begin < 0 else self._begin(text, begin)

    def _begin(self, text: str, at: int) -> int | None:
        """Begin a tag, a comment or a declaration, whichever it is."""
        if len(text) - at < _MAX_MARK and not self._is_last:
            return None
        self._is_closing = text.startswith("/", at + 1)
        name = _NAME.match(text, at + 1 + self._is_closing)
        if name is not None:
            if name.end() == len(text) and len(text) - at < _MAX_NAME and not self._is_last:
                return None  # it may go on
            self._tag, self._is_empty = name[0].lower(), False
            self._go_on = self._in_tag
            return name.end()
        if text.startswith("<!--", at):
            return self._skip(_COMMENT_END, at + 2)  # <!--> is a whole comment
        if text.startswith("<![CDATA[", at):
            return self._skip(_CDATA_END, at + 9)
        if text.startswith(("<!", "<?", "</"), at):
            return self._skip(_DECLARATION_END, at + 2)
        self.data("<")
        return at + 1

    def _in_tag(self, text: str, at: int) -> int:
        passed = _ATTRIBUTES.match(text, at)
        assert passed is not None
        end = passed.end()
        if end > at:
            self._is_empty = text[end - 1] == "/"
        if end == len(text):
            return end
        if text[end] == "=":
            self._go_on = self._before_value
        else:
            self._end_tag()
        return end + 1

    def _before_value(self, text: str, at: int) -> int:
        passed = _SPACE.match(text, at)
        assert passed is not None
        end = passed.end()
        self._is_empty = False
        if end == len(text):
            return end
        if text[end] in "\"'":
            self._quote = text[end]
            self._go_on = self._in_quotes
            return end + 1
        self._go_on = self._in_tag
        return end

    def _in_quotes(self, text: str, at: int) -> int:
        end = text.find(self._quote, at)
        if end < 0:
            return len(text)
        self._go_on = self._in_tag
        return end + 1

    def _end_tag(self) -> None:
        self._go_on = self._in_text
        if self._is_closing:
            self.close_tag(self._tag)
            return
        self.open_tag(self._tag, is_empty=self._is_empty)
        if self._tag in _RAW_END and not self._is_empty:
            self._skip(_RAW_END[self._tag], 0)

    def _skip(self, end: re.Pattern[str], at: int) -> int:
        self._end = end
        self._go_on = self._skipping
        return at

    def _skipping(self, text: str, at: int) -> int | None:
        found = self._end.search(text, at)
        if found is not None:
            self._go_on = self._in_text
            return found.end()
        kept = len(text) if self._is_last else max(at, len(text) - _MAX_MARK)
        return kept if kept > at else None
