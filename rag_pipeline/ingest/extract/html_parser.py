"""Split HTML into tags and text, in linear time for any input.

The standard library's parser rescans the input at each unclosed tag or comment. This parser is a state machine that
reads each character once. As in browsers, an unclosed construct extends to the end of the page.
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
# The longest delimiters and references that the end of a fed piece may split.
_MAX_DELIMITER = 10
_MAX_REFERENCE = 34
_MAX_NAME = 1000


class HtmlParser:
    """Calls ``open_tag``, ``close_tag`` and ``data`` for the markup passed to ``feed``; call ``close`` at the end.

    Skips attributes, comments, declarations, and the content of scripts and styles.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._is_last = False
        self._state = self._in_text
        self._skip_end = _COMMENT_END
        self._quote = ""
        self._tag = ""
        self._is_closing = False
        self._is_empty = False

    def open_tag(self, tag: str, *, is_empty: bool) -> None:
        """Handle an opening tag, its name in lower case. An empty tag has no closing tag."""
        raise NotImplementedError

    def close_tag(self, tag: str) -> None:
        """Handle a closing tag."""
        raise NotImplementedError

    def data(self, text: str) -> None:
        """Handle a piece of text, with its character references resolved."""
        raise NotImplementedError

    def feed(self, markup: str) -> None:
        """Parse the next piece of the page."""
        text, at = self._rest + markup, 0
        while at < len(text) and (after := self._state(text, at)) is not None:
            at = after
        self._rest = text[at:]

    def close(self) -> None:
        """End the page."""
        self._is_last = True
        self.feed("")

    # The states of the parser. Each returns the position of the next character to read, or None to wait for more input.

    def _in_text(self, text: str, at: int) -> int | None:
        start = text.find("<", at)
        end = len(text) if start < 0 else start
        if start < 0 and not self._is_last:
            reference = text.rfind("&", max(at, end - _MAX_REFERENCE))
            end = end if reference < 0 else reference
        if end > at:
            self.data(unescape(text[at:end]))
            return end
        return None if start < 0 else self._open_construct(text, start)

    def _open_construct(self, text: str, at: int) -> int | None:
        """Start a tag, a comment or a declaration at ``<``."""
        if len(text) - at < _MAX_DELIMITER and not self._is_last:
            return None
        self._is_closing = text.startswith("/", at + 1)
        name = _NAME.match(text, at + 1 + self._is_closing)
        if name is not None:
            if name.end() == len(text) and len(text) - at < _MAX_NAME and not self._is_last:
                return None  # the name may continue
            self._tag, self._is_empty = name[0].lower(), False
            self._state = self._in_tag
            return name.end()
        if text.startswith("<!--", at):
            return self._skip(_COMMENT_END, at + 2)  # <!--> is a complete comment
        if text.startswith("<![CDATA[", at):
            return self._skip(_CDATA_END, at + 9)
        if text.startswith(("<!", "<?", "</"), at):
            return self._skip(_DECLARATION_END, at + 2)
        self.data("<")
        return at + 1

    def _in_tag(self, text: str, at: int) -> int:
        match = _ATTRIBUTES.match(text, at)
        assert match is not None
        end = match.end()
        if end > at:
            self._is_empty = text[end - 1] == "/"
        if end == len(text):
            return end
        if text[end] == "=":
            self._state = self._before_value
        else:
            self._end_tag()
        return end + 1

    def _before_value(self, text: str, at: int) -> int:
        match = _SPACE.match(text, at)
        assert match is not None
        end = match.end()
        self._is_empty = False
        if end == len(text):
            return end
        if text[end] in "\"'":
            self._quote = text[end]
            self._state = self._in_quotes
            return end + 1
        self._state = self._in_tag
        return end

    def _in_quotes(self, text: str, at: int) -> int:
        end = text.find(self._quote, at)
        if end < 0:
            return len(text)
        self._state = self._in_tag
        return end + 1

    def _end_tag(self) -> None:
        self._state = self._in_text
        if self._is_closing:
            self.close_tag(self._tag)
            return
        self.open_tag(self._tag, is_empty=self._is_empty)
        if self._tag in _RAW_END and not self._is_empty:
            self._skip(_RAW_END[self._tag], 0)

    def _skip(self, end: re.Pattern[str], at: int) -> int:
        self._skip_end = end
        self._state = self._skipping
        return at

    def _skipping(self, text: str, at: int) -> int | None:
        match = self._skip_end.search(text, at)
        if match is not None:
            self._state = self._in_text
            return match.end()
        end = len(text) if self._is_last else max(at, len(text) - _MAX_DELIMITER)
        return end if end > at else None
