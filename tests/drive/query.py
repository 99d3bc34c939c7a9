"""Parser for the ``q`` parameter of ``files.list``, in the notation that Drive documents.

``'folder' in parents and trashed = false and (mimeType = 'a/b' or name contains 'x')``
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tests.drive.api_errors import ViolationError, invalid

File = Mapping[str, Any]
TOKEN = re.compile(r"\s*(?:(?P<string>'(?:[^'\\]|\\['\\])*')|(?P<word>[\w.]+)|(?P<sign><=|>=|!=|[=<>()]))")
EQUALS = frozenset({"=", "!="})
COMPARES = EQUALS | {"<", "<=", ">", ">="}
OPERATORS: Mapping[str, frozenset[str]] = {
    "name": EQUALS | {"contains"},
    "mimeType": EQUALS | {"contains"},
    "modifiedTime": COMPARES,
    "createdTime": COMPARES,
    "trashed": EQUALS,
    "starred": EQUALS,
    "sharedWithMe": EQUALS,
    "shortcutDetails.targetId": EQUALS,
}
COLLECTIONS = frozenset({"parents"})
NOT_MODELLED = frozenset(
    {
        "fullText",
        "viewedByMeTime",
        "owners",
        "writers",
        "readers",
        "properties",
        "appProperties",
        "visibility",
        "labels",
    }
)


class Query(NamedTuple):
    """A query: whether it matches a file, and the folders it is limited to, if known."""

    meets: Callable[[File], bool]
    parents: frozenset[str] | None


EVERYTHING = Query(lambda _: True, None)


def parse(text: str, root_id: str = "root") -> Query:
    """Parse a query; raise ViolationError for a term that is not modelled, and ApiError for an invalid one."""
    parser = _Parser(_tokens(text), root_id)
    query = parser.either()
    if parser.tokens:
        raise invalid("q")
    return query


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if match is None:
            raise invalid("q")
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str], root_id: str) -> None:
        self.tokens = tokens
        self._root_id = root_id

    def either(self) -> Query:
        """Parse clauses joined by one operator; Drive does not document the precedence of two."""
        found = [self._negation()]
        word = self._peek()
        while self._peek() in ("and", "or"):
            if self._take() != word:
                raise ViolationError(400, "invalid", "q: and beside or, without parentheses", location="q")
            found.append(self._negation())
        if len(found) == 1:
            return found[0]
        return _all(found) if word == "and" else _any(found)

    def _negation(self) -> Query:
        if self._peek() != "not":
            return self._clause()
        self._take()
        query = self._negation()
        return Query(lambda file: not query.meets(file), None)

    def _clause(self) -> Query:
        if self._peek() == "(":
            self._take()
            query = self.either()
            self._expect(")")
            return query
        if self._peek().startswith("'"):
            return self._membership()
        return self._comparison()

    def _membership(self) -> Query:
        named = _unquoted(self._take())
        value = self._root_id if named == "root" else named
        self._expect("in")
        term = self._take()
        if term in NOT_MODELLED:
            raise ViolationError(501, "notImplemented", f"q: {term} is not modelled", location="q")
        if term not in COLLECTIONS:
            raise invalid("q")
        return Query(lambda file: value in file.get(term, ()), frozenset({value}))

    def _comparison(self) -> Query:
        term, operator, value = self._take(), self._take(), self._take()
        if term in NOT_MODELLED:
            raise ViolationError(501, "notImplemented", f"q: {term} is not modelled", location="q")
        if operator not in OPERATORS.get(term, ()):
            raise invalid("q")
        return Query(_comparison(term, operator, value), None)

    def _peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _take(self) -> str:
        if not self.tokens:
            raise invalid("q")
        return self.tokens.pop(0)

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise invalid("q")


def _all(queries: list[Query]) -> Query:
    known = [query.parents for query in queries if query.parents is not None]
    return Query(lambda file: all(query.meets(file) for query in queries), min(known, key=len) if known else None)


def _any(queries: list[Query]) -> Query:
    known = [query.parents for query in queries if query.parents is not None]
    parents = frozenset().union(*known) if len(known) == len(queries) else None
    return Query(lambda file: any(query.meets(file) for query in queries), parents)


def _comparison(term: str, operator: str, text: str) -> Callable[[File], bool]:
    value = _value(term, text)

    def meets(file: File) -> bool:
        found = _found(term, file)
        if operator == "contains":
            return _contains(term, str(found), str(value))
        if operator in EQUALS:
            return bool(found == value) == (operator == "=")
        ordered = {"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}
        return bool(ordered[operator])

    return meets


def _value(term: str, text: str) -> Any:
    if term in ("trashed", "starred", "sharedWithMe"):
        if text not in ("true", "false"):
            raise invalid("q")
        return text == "true"
    value = _unquoted(text)
    return _moment(value) if term.endswith("Time") else value


def _found(term: str, file: File) -> Any:
    if term.endswith("Time"):
        return _moment(file[term])
    if term == "sharedWithMe":
        return "sharedWithMeTime" in file
    if term == "starred":
        return file.get(term, False)
    for name in term.split("."):
        file = file.get(name, {})
    return file


def _contains(term: str, text: str, value: str) -> bool:
    # Of names, Drive finds the beginnings of words only: "Hello" has "He", and not "ello".
    start = r"(?:^|\W)" if term == "name" else ""
    return re.search(start + re.escape(value), text, re.IGNORECASE) is not None


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("q") from None
    # A time without an offset is UTC, the guide says.
    return (moment if moment.tzinfo else datetime.fromisoformat(text + "+00:00")).timestamp()


def _unquoted(token: str) -> str:
    if len(token) < 2 or not token.startswith("'"):
        raise invalid("q")
    return re.sub(r"\\(.)", r"\1", token[1:-1])
