"""Parses query strings strictly: a misspelt parameter is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from rag_pipeline.common.document_search import (
    DEFAULT_RESULTS,
    MAX_QUESTION_CHARACTERS,
    MAX_RESULTS,
    DocumentQuery,
)
from rag_pipeline.common.pipeline_id import MAX_PIPELINE_ID_LENGTH, is_readable_id
from rag_pipeline.contract import events
from rag_pipeline.http_server.content import quoted
from rag_pipeline.journal.base import MAX_PAGE, FileQuery, FileStatus, parse_offset

DEFAULT_PAGE = 100
MAX_TEXT_CHARACTERS = 200

EVENTS_PARAMETERS = ("since", "namespace", "limit")
STATUS_PARAMETERS = ("summary",)
SEARCH_PARAMETERS = ("q", "pipeline", "path", "type", "limit")
FILES_PARAMETERS = ("status", "q", "pipeline_id", "warnings", "before", "limit")

_AN_OFFSET = "the offset of an event, or what an earlier answer gave as next"
MAX_PATTERN_CHARACTERS = 1_000
_TYPE = re.compile(r"[\w.+*-]{1,100}(/[\w.+*-]{1,100})?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}")

T = TypeVar("T")


class QueryError(ValueError):
    """A query string is invalid; the message is one line with parameter, value and what was expected."""


class EventsQuery(NamedTuple):
    """The parameters of ``/events``."""

    since: str | None = None
    namespace: str = events.NS_PIPELINE
    limit: int = DEFAULT_PAGE


def status_query(query: str) -> bool:
    """Return whether a summary is requested; raises :class:`QueryError`.

    Other parameters are ignored: ``/status`` has always accepted any query string.
    """
    own = [pair for pair in query.split("&") if pair.partition("=")[0] in STATUS_PARAMETERS]
    return _read(parse("&".join(own), STATUS_PARAMETERS), "summary", _flag, False)


def events_query(query: str) -> EventsQuery:
    """Return the parameters of ``/events``; raises :class:`QueryError`."""
    given = parse(query, EVENTS_PARAMETERS)
    return EventsQuery(
        since=_read(given, "since", _offset, None),
        namespace=_read(given, "namespace", _namespace, events.NS_PIPELINE),
        limit=_read(given, "limit", _limit, DEFAULT_PAGE),
    )


def files_query(query: str, position_of: Callable[[str], int | None]) -> FileQuery:
    """Return the parameters of ``/files``; ``position_of`` resolves an offset. Raises :class:`QueryError`."""
    given = parse(query, FILES_PARAMETERS)
    return FileQuery(
        status=_read(given, "status", _status, None),
        text=_read(given, "q", _text, None),
        pipeline_id=_read(given, "pipeline_id", _pipeline_id, None),
        before=_read(given, "before", lambda value: _position(value, position_of), None),
        limit=_read(given, "limit", _limit, DEFAULT_PAGE),
        warnings=_read(given, "warnings", _flag, None),
    )


def search_query(query: str) -> DocumentQuery:
    """Return the parameters of ``/search``; raises :class:`QueryError`."""
    given = parse(query, SEARCH_PARAMETERS)
    if not given.get("q", "").strip():
        raise QueryError("q is missing: expected what to look for, in words")
    pipeline_id = _read(given, "pipeline", _pipeline_id, None)
    return DocumentQuery(
        question=_read(given, "q", _question, ""),
        pipelines=None if pipeline_id is None else frozenset({pipeline_id}),
        path=_read(given, "path", _pattern, None),
        type=_read(given, "type", _type, None),
        limit=_read(given, "limit", _result_limit, DEFAULT_RESULTS),
    )


def parse(query: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the values by parameter, form-decoded; raises :class:`QueryError`."""
    given: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = (_decode(part) for part in pair.partition("="))
        if name not in names:
            # Without its value, which may be a token.
            raise QueryError(f"unknown parameter {quoted(name)}: expected {_one_of(names)}")
        if name in given:
            raise QueryError(f"{name} is given as {quoted(given[name])} and as {quoted(value)}: expected it once")
        given[name] = value
    return given


def decode_part(part: str) -> str:
    """Return a part of a request's target as text; its characters above ASCII are the bytes that the client sent.

    Raises UnicodeError if it is not UTF-8.
    """
    return unquote_to_bytes(part.encode("latin-1")).decode()


def _decode(part: str) -> str:
    try:
        return decode_part(part.replace("+", " "))
    except UnicodeError:
        raise QueryError(f"{quoted(part)} in the query: expected UTF-8, percent-encoded") from None


def _read(given: Mapping[str, str], name: str, read: Callable[[str], T], default: T) -> T:
    if name not in given:
        return default
    try:
        return read(given[name])
    except _ExpectedError as error:
        raise QueryError(f"{name}={quoted(given[name])}: expected {error}") from None


class _ExpectedError(Exception):
    """A value is invalid; the message says what was expected."""


def _offset(value: str) -> str:
    if parse_offset(value) is None:
        raise _ExpectedError(_AN_OFFSET)
    return value


def _position(value: str, position_of: Callable[[str], int | None]) -> int:
    position = position_of(_offset(value))
    if position is None:
        raise _ExpectedError(f"{_AN_OFFSET}; this one is not of the journal that is kept now")
    return position


def _namespace(value: str) -> str:
    if value not in events.NAMESPACE_NAMES:
        raise _ExpectedError(_one_of(events.NAMESPACE_NAMES))
    return events.resolve_namespace(value)


def _limit(value: str) -> int:
    number = int(value) if _NUMBER.fullmatch(value) else 0
    if not 1 <= number <= MAX_PAGE:
        raise _ExpectedError(f"a whole number from 1 to {MAX_PAGE}")
    return number


def _result_limit(value: str) -> int:
    number = int(value) if _NUMBER.fullmatch(value) else 0
    if not 1 <= number <= MAX_RESULTS:
        raise _ExpectedError(f"a whole number from 1 to {MAX_RESULTS}")
    return number


def _question(value: str) -> str:
    if len(value) > MAX_QUESTION_CHARACTERS:
        raise _ExpectedError(f"at most {MAX_QUESTION_CHARACTERS} characters")
    return value


def _pattern(value: str) -> str:
    if not 1 <= len(value) <= MAX_PATTERN_CHARACTERS:
        raise _ExpectedError(f"a path such as reports/*.pdf, of 1 to {MAX_PATTERN_CHARACTERS} characters")
    return value


def _type(value: str) -> str:
    if _TYPE.fullmatch(value) is None:
        raise _ExpectedError(
            "a MIME type such as application/pdf or text/*, an extension such as pdf, or a kind such as markdown"
        )
    return value


def _flag(value: str) -> bool:
    if value not in ("true", "false"):
        raise _ExpectedError("true or false")
    return value == "true"


def _status(value: str) -> FileStatus:
    try:
        return FileStatus(value)
    except ValueError:
        raise _ExpectedError(_one_of(tuple(FileStatus))) from None


def _text(value: str) -> str | None:
    if len(value) > MAX_TEXT_CHARACTERS:
        raise _ExpectedError(f"at most {MAX_TEXT_CHARACTERS} characters")
    return value or None  # an empty search form sends an empty value


def _pipeline_id(value: str) -> str:
    if not is_readable_id(value):
        raise _ExpectedError(f"1 to {MAX_PIPELINE_ID_LENGTH} printable characters")
    return value


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
