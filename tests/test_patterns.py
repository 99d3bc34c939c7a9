"""Regular expressions: none of the package takes more than linear time, whatever text it meets.

Each has an entry in ``ATTACKS``, with texts that make it try as many ways as it can. A new one without an entry fails.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.linear_time import assert_linear, time_limit
from tests.support.programs import ROOT

PACKAGE = ROOT / "rag_pipeline"
SIZES = (640, 6_400, 64_000)


class Attack(NamedTuple):
    """``begin``, ``pump`` over and over, ``end``: for the method of the pattern that the code calls."""

    method: str
    pump: str
    begin: str = ""
    end: str = "\x01"

    def text(self, size: int) -> str:
        return self.begin + self.pump * (size // len(self.pump)) + self.end


def _of(method: str, *pumps: str, begin: str = "", end: str = "\x01") -> list[Attack]:
    return [Attack(method, pump, begin, end) for pump in pumps]


ATTACKS: dict[str, list[Attack]] = {
    "access.bearer:_BEARER": _of("fullmatch", " ", "a", begin="bearer "),
    "client.address:_ERRNO": _of("search", "[Errno ", "1", "a ", begin="[Errno 1] "),
    "client.address:_STATUS": _of("search", "status code ", "1"),
    "common.backoff:_SECONDS": _of("fullmatch", "1", "1."),
    "common.config:_ALLOWED_HOST": _of("fullmatch", "a", "a.", "*.", "."),
    "common.config:_HOST": _of("fullmatch", "a", "a.", "1:", ":"),
    "common.config:_INTEGER": _of("fullmatch", "1", "+"),
    "common.config:_LOOPBACK": _of("fullmatch", "127.", "1", begin="127.0"),
    "common.config:_TOKEN": _of("fullmatch", "a", "=", "a="),
    "http_server.accept:_WEIGHT": _of("fullmatch", "0", "0.", begin="0."),
    "http_server.control:_COUNT": _of("fullmatch", "1"),
    "http_server.encoding:_SURROGATE": _of("sub", "a", "\ud800"),
    "http_server.handler:_HEADER_NAME": _of("fullmatch", "a", "-"),
    "http_server.handler:_HEADER_VALUE": _of("fullmatch", "a", " ", "\t "),
    "http_server.head:REQUEST_LINE": _of("fullmatch", "a", "/ ", "HTTP/1", "1.", begin="GET "),
    "http_server.head:_EMPTY_LINE": _of("match", "\r", "\n"),
    "http_server.head:_END": _of("search", "\n", "\r", "\n\r", "a"),
    "http_server.head:_TOKEN_START": _of("match", "a"),
    "http_server.page:_HOST": _of("fullmatch", "a", "a:1", ":", "[::", begin="["),
    "http_server.query:_NUMBER": _of("fullmatch", "1"),
    "ingest.chunk:_BOUNDARIES": [
        *_of("finditer", " ", "\n", " \n", "\n ", ".", ".\"'", ". ", "。", "\u2003", end="x"),
        *_of("finditer", " ", "\t", begin="\n", end="x"),
        *_of("finditer", '"', begin=".", end="x"),
    ],
    "cli.control:_COUNT": _of("fullmatch", "1"),
    "access.hosts:_HOST": _of("fullmatch", "a", "a.", ":", ":1", "[::", "1:", begin="["),
    "ingest.chunk:_ENDS_WORD": _of("match", " "),
    "ingest.chunk:_WORD": _of("search", "_", " ", "-"),
    "ingest.embed.backoff:_SECONDS": _of("fullmatch", "1", "1."),
    "ingest.extract.charset:_BINARY_CONTROL": _of("findall", "\x01", "a"),
    "ingest.extract.filetype:_HTML_START": [
        *_of("match", "<!--x-->", "<!--", "<!-- -->\n", " ", "\n", "<", "--> ", "<!---->"),
        *_of("match", " ", "\t", begin="<!doctype"),
    ],
    "ingest.extract.filetype:_MAIN_PART": [
        *_of("finditer", 'ContentType="', "ContentType=", "ContentType ", ".main+xml", 'ContentType = "'),
        *_of("finditer", " ", ".main", "x.main+xml", begin='ContentType="'),
        *_of("finditer", " ", begin="ContentType"),
    ],
    "ingest.extract.filetype:_XHTML_START": _of("match", " ", "<?xml ", "a", "<!doctype ", begin="<?xml "),
    "ingest.extract.filetype:_XML_START": _of("match", " ", "<?xml", "\n"),
    "ingest.extract.output:_BLANK_LINES": _of("sub", "\n", "\n\n", "\n\n\na"),
    "ingest.extract.output:_CONTROL": _of("sub", "\x01", "a", "\ufeff"),
    "ingest.extract.output:_SURROGATE": _of("sub", "\ud800", "é"),
    "ingest.extract.output:_TRAILING_SPACE": _of("sub", " ", "\t", "\xa0", " \t\xa0", " \n", "x ", end="x"),
    "ingest.extract.readers.excel:_COLUMN": _of("match", "A", "1", begin="A"),
    "ingest.extract.readers.html:_DECLARED": [
        *_of("search", "<meta ", "<meta", "<meta charset", "<meta charset=", "charset", "a"),
        *_of("search", " ", "=", '"', begin="<meta charset="),
        *_of("search", " ", begin="<meta charset"),
    ],
    "ingest.extract.readers.html:_SPACE": _of("sub", " ", "a ", "\t\n", "\u2003"),
    "ingest.extract.readers.numbers:_LITERAL": _of("sub", "[", '"', "[a", "[h", "\\", "_", "]", '["', '"['),
    "ingest.extract.readers.numbers:_OF_DATE": _of("search", "0", "#"),
    "ingest.extract.readers.numbers:_OF_TIME": _of("search", "0", "#"),
    "ingest.extract.readers.rtf:_TOKEN": _of("match", "\\a", "a", "1", "\\", "\n", "{", "é", begin="\\b-1"),
    "ingest.extract.readers.table:_NUMBER": _of("match", "1", " ", "1 ", ")", begin="-$"),
    "ingest.extract.readers.table:_QUOTED": _of("sub", '"', '"a', '""', "a", begin='"'),
    "ingest.extract.readers.text:_ATX_HEADING": [
        *_of("match", " ", "#", " #", "# ", "\t", begin="# a"),
        *_of("match", " ", "#", " #", begin="# ", end="\n"),
        *_of("match", " ", "#"),
    ],
    "ingest.extract.readers.text:_FENCE": _of("match", "`", "~", " "),
    "ingest.extract.readers.text:_JSON_ESCAPES": _of("sub", "\\u0041", "\\u", "\\", "\\u004"),
    "ingest.extract.readers.text:_UNDERLINE": [
        *_of("match", "=", "-", " ", "= "),
        *_of("match", " ", "\t", begin="=="),
    ],
    "ingest.extract.readers.word:_HEADING_NAME": _of("match", "heading ", "1", begin="heading 1"),
    "ingest.extract.signatures:_MP3_FRAME": _of("match", "\xff", "\xff\xfb"),
    "ingest.extract.tags:_ATTRIBUTES": _of("match", "a", " ", '"', "<a "),
    "ingest.extract.tags:_CDATA_END": _of("search", "]", "]]", ">"),
    "ingest.extract.tags:_COMMENT_END": _of("search", "-", "--", "!", "--!", "-->x"),
    "ingest.extract.tags:_DECLARATION_END": _of("search", "a", "<"),
    "ingest.extract.tags:_NAME": _of("match", "a", "a<"),
    "ingest.extract.tags:_RAW_END": _of("search", "</script", "<", "</", "</s", "</script</style", end="x"),
    "ingest.extract.tags:_SPACE": _of("match", " ", "\n\t"),
    "ingest.spans:EstimatedSpans._token": _of("finditer", "a", "-", " ", "\x01", "é", "a-"),
    "ingest.store.faults:_DAMAGE": _of("search", "Table '", ".rs:", "1", "'", begin="Table '"),
    "ingest.store.faults:_OTHER_CAUSE": _of("search", "A", "A ", " (os error ", "A (os error 2)", "(os error 1"),
    "ingest.store.pgvector.address:_SCHEMA": _of("fullmatch", "a", "pg_", "_"),
    "ingest.store.pgvector.faults:_MISSING_DATABASE": _of("search", 'database "', '"', "a", begin='database "'),
    "ingest.store.pgvector.faults:_PREAMBLE": [
        *_of("sub", "connection to server at ", "connection is bad: ", "failed:", " failed: "),
        *_of("sub", " failed:", "a", begin="connection to server on "),
    ],
    "ingest.store.pgvector.words:_ACCENTS": _of("sub", "\u0301", "a"),
    "ingest.store.pgvector.words:_WORD": _of("finditer", "a", "_", "\u0e01", "a\u0301", "\u0301", "漢", "a漢", " "),
    "ingest.store.rows:_ESCAPED": _of("sub", "\ufdd0", "\ufdd0d", "\ufdd0d800", "a"),
    "ingest.store.rows:_TO_ESCAPE": _of("sub", "\ud800", "\ufdd0", "a"),
    "journal.base:_OFFSET": _of("fullmatch", "a", "1-", "-"),
    "journal.redis.generations:_GENERATION": _of("fullmatch", "a", "1", "1-", " 1", begin="a 1-1"),
    #    "logs:_UNPRINTABLE": _of("sub", "\x1b", "\u202e", "a", "\n"),
    "normal_forms:_long_runs": _of("sub", "\u0301", "a\u0301", "\u0f73", "漢", "\u0591\u0301", "\U0001e94a", "𝐚"),
    "origins:_FIXED_HOST": _of("fullmatch", "1.", ":", "1", begin="http://"),
    "origins:_ORIGIN": _of("fullmatch", "a", "a.", ":", ":1", begin="http://"),
    "pipelines.google_drive.content:_CONTENT_RANGE": _of("fullmatch", "1", "1-1/", "*", begin="bytes 1-1/"),
    "pipelines.google_drive.hosts:_CONTENT_HOST": _of("fullmatch", "a", "a.", "-", ".", "googleusercontent.com."),
    "pipelines.google_drive.kinds:_PACKED": _of("fullmatch", "application/", "zip", "x-", begin="application/"),
    "pipelines.google_drive.kinds:_PROGRAM": _of("fullmatch", "application/", "x-", begin="application/"),
    "pipelines.google_drive.kinds:_READ_ALL_THE_SAME": _of("search", ".doc", ".html", ".", ".docx"),
    "pipelines.google_drive.records:_HALF_CHARACTER": _of("sub", "\ud800", "a"),
    "pipelines.google_drive.settings:_ID": _of("fullmatch", "a", "-"),
    "pipelines.google_drive.spool:_UNFIT": _of("sub", "/", "\\", "a/", "a"),
    "pipelines.local_files.mount_table:_escaped_byte": _of("sub", "\\", "\\0", "\\04", "\\040"),
    "pipelines.local_files.names:_PASSED_OVER": _of("match", "#", "~", ".tmp", ".part", "~$", "a", begin="#"),
    "pipelines.run.table:_KEY": _of("fullmatch", "a", "-"),
    "pipelines.run.table:_MAY_BE_SECRET": _of("search", "a", "["),
    "pipelines.run.table:_VARIABLE": _of("fullmatch", "A", "_"),
    "pipelines.store_command.folders:_ESCAPED": _of("sub", "\\", "\\x", "\\x4", "\\x41"),
    "socket_server.body:_CHUNK_SIZE": _of("match", "1", " ", ";", "\t", ";a", begin="1"),
    "socket_server.body:_DIGITS": _of("fullmatch", "1"),
    "socket_server.engine:_DIGITS": _of("findall", "1", "1.", "a"),
    "socket_server.head:_FIELD": _of("match", "a", ":", " ", "\t", "a:", begin="a:"),
    "socket_server.head:_FIRST": _of("match", "a", "\r", "\n"),
    "socket_server.head:_REQUEST_LINE": _of("fullmatch", "a", "/ ", "HTTP/1", "1.", begin="GET "),
    "socket_server.packets:_HEAD": _of("match", "1", "1-", "/", "/a", ",", begin="1-/"),
    "socket_server.websocket:_TOKEN": _of("fullmatch", "a", "!"),
    "status.registry:_UNFIT": _of("sub", " ", "a ", "é"),
}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


def _compiles(node: ast.AST) -> bool:
    return any(_re_function(inner) == "compile" for inner in ast.walk(node))


def _re_function(node: ast.AST) -> str | None:
    """Return which function of ``re`` a call is of, if it is one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    return node.func.attr if isinstance(node.func.value, ast.Name) and node.func.value.id == "re" else None


def _assigned(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the names, in a module and its classes, that patterns are assigned to, and how many calls are in each."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _assigned(statement.body, f"{prefix}{statement.name}.")
        elif isinstance(statement, ast.FunctionDef) and _compiles(statement):
            # Made when it is needed.
            yield prefix + statement.name, sum(_re_function(node) is not None for node in ast.walk(statement))
        elif isinstance(statement, ast.Assign) and _compiles(statement.value):
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            yield prefix + target.id, sum(_re_function(node) is not None for node in ast.walk(statement.value))


def _patterns(entry: str) -> list[re.Pattern[Any]]:
    module, _, name = entry.partition(":")
    found: Any = importlib.import_module(f"rag_pipeline.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    if callable(found):
        found = found()
    if isinstance(found, re.Pattern):
        return [found]
    return list(found.values() if isinstance(found, dict) else found)


def test_each_pattern_has_a_name_and_an_entry_here() -> None:
    named: set[str] = set()
    for module, path in _modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = dict(_assigned(tree.body, ""))
        named.update(f"{module}:{name}" for name in found)
        calls = [node for node in ast.walk(tree) if _re_function(node) not in (None, "escape")]
        assert len(calls) == sum(found.values()), f"{path}: give each pattern a name, in the module or its class"
        assert not any(isinstance(node, ast.ImportFrom) and node.module == "re" for node in ast.walk(tree)), path
    assert named == set(ATTACKS)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("entry", sorted(ATTACKS))
def test_a_pattern_takes_linear_time(entry: str) -> None:
    for pattern in _patterns(entry):
        for attack in ATTACKS[entry]:
            assert_linear(_applied(pattern, attack), SIZES, attack)


@pytest.mark.parametrize(
    ("pattern", "attack"),
    [
        (r"[ \t]+(?=\n)", Attack("sub", " ")),
        (r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$", Attack("match", " ", "# a")),
        (r"\s*(?:<!--.*?-->\s*)*<html", Attack("match", "<!-- -->")),
        (r"\[[^\]]*\]", Attack("sub", "[")),
        (r"<meta\s*\s*>", Attack("search", " ", "<meta")),
    ],
)
def test_what_is_not_linear_is_found(pattern: str, attack: Attack) -> None:
    with pytest.raises((AssertionError, TimeoutError)), time_limit(5):
        assert_linear(_applied(re.compile(pattern), attack), SIZES, attack)


def _applied(pattern: re.Pattern[Any], attack: Attack) -> Callable[[int], Callable[[], None]]:
    def prepared(size: int) -> Callable[[], None]:
        text = attack.text(size)
        return lambda: _apply(pattern, attack.method, text)

    return prepared


def _apply(pattern: re.Pattern[Any], method: str, text: str) -> None:
    subject: Any = text.encode("utf-8", "surrogatepass") if isinstance(pattern.pattern, bytes) else text
    if method == "sub":
        pattern.sub(subject[:0], subject)
    elif method == "finditer":
        for _ in pattern.finditer(subject):
            pass
    else:
        getattr(pattern, method)(subject)
