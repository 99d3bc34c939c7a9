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
    "rag_pipeline.access.bearer:_BEARER": _of("fullmatch", " ", "a", begin="bearer "),
    "rag_pipeline.client.address:_ERRNO": _of("search", "[Errno ", "1", "a ", begin="[Errno 1] "),
    "rag_pipeline.client.address:_STATUS": _of("search", "status code ", "1"),
    "rag_pipeline.common.backoff:_SECONDS": _of("fullmatch", "1", "1."),
    "rag_pipeline.common.config:_ALLOWED_HOST": _of("fullmatch", "a", "a.", "*.", "."),
    "rag_pipeline.common.config:_HOST": _of("fullmatch", "a", "a.", "1:", ":"),
    "rag_pipeline.common.config:_INTEGER": _of("fullmatch", "1", "+"),
    "rag_pipeline.common.config:_LOOPBACK": _of("fullmatch", "127.", "1", begin="127.0"),
    "rag_pipeline.common.config:_TOKEN": _of("fullmatch", "a", "=", "a="),
    "rag_pipeline.http_server.accept:_WEIGHT": _of("fullmatch", "0", "0.", begin="0."),
    "rag_pipeline.http_server.control:_COUNT": _of("fullmatch", "1"),
    "rag_pipeline.http_server.encoding:_SURROGATE": _of("sub", "a", "\ud800"),
    "rag_pipeline.http_server.handler:_HEADER_NAME": _of("fullmatch", "a", "-"),
    "rag_pipeline.http_server.handler:_HEADER_VALUE": _of("fullmatch", "a", " ", "\t "),
    "rag_pipeline.http_server.head:REQUEST_LINE": _of("fullmatch", "a", "/ ", "HTTP/1", "1.", begin="GET "),
    "rag_pipeline.http_server.head:_EMPTY_LINE": _of("match", "\r", "\n"),
    "rag_pipeline.http_server.head:_END": _of("search", "\n", "\r", "\n\r", "a"),
    "rag_pipeline.http_server.head:_TOKEN_START": _of("match", "a"),
    "rag_pipeline.http_server.page:_HOST": _of("fullmatch", "a", "a:1", ":", "[::", begin="["),
    "rag_pipeline.http_server.query:_NUMBER": _of("fullmatch", "1"),
    "rag_pipeline.ingest.chunker:_BOUNDARIES": [
        *_of("finditer", " ", "\n", " \n", "\n ", ".", ".\"'", ". ", "。", "\u2003", end="x"),
        *_of("finditer", " ", "\t", begin="\n", end="x"),
        *_of("finditer", '"', begin=".", end="x"),
    ],
    "rag_pipeline.cli.control:_COUNT": _of("fullmatch", "1"),
    "rag_pipeline.access.hosts:_HOST": _of("fullmatch", "a", "a.", ":", ":1", "[::", "1:", begin="["),
    "rag_pipeline.ingest.chunker:_ENDS_WORD": _of("match", " "),
    "rag_pipeline.ingest.chunker:_WORD": _of("search", "_", " ", "-"),
    "rag_pipeline.ingest.embed.backoff:_SECONDS": _of("fullmatch", "1", "1."),
    "rag_pipeline.ingest.extract.charset:_BINARY_CONTROL": _of("findall", "\x01", "a"),
    "rag_pipeline.ingest.extract.file_type:_HTML_START": [
        *_of("match", "<!--x-->", "<!--", "<!-- -->\n", " ", "\n", "<", "--> ", "<!---->"),
        *_of("match", " ", "\t", begin="<!doctype"),
    ],
    "rag_pipeline.ingest.extract.file_type:_MAIN_PART": [
        *_of("finditer", 'ContentType="', "ContentType=", "ContentType ", ".main+xml", 'ContentType = "'),
        *_of("finditer", " ", ".main", "x.main+xml", begin='ContentType="'),
        *_of("finditer", " ", begin="ContentType"),
    ],
    "rag_pipeline.ingest.extract.file_type:_XHTML_START": _of(
        "match", " ", "<?xml ", "a", "<!doctype ", begin="<?xml "
    ),
    "rag_pipeline.ingest.extract.file_type:_XML_START": _of("match", " ", "<?xml", "\n"),
    "rag_pipeline.ingest.extract.section_writer:_BLANK_LINES": _of("sub", "\n", "\n\n", "\n\n\na"),
    "rag_pipeline.ingest.extract.section_writer:_CONTROL": _of("sub", "\x01", "a", "\ufeff"),
    "rag_pipeline.ingest.extract.section_writer:_SURROGATE": _of("sub", "\ud800", "é"),
    "rag_pipeline.ingest.extract.section_writer:_TRAILING_SPACE": _of(
        "sub", " ", "\t", "\xa0", " \t\xa0", " \n", "x ", end="x"
    ),
    "rag_pipeline.ingest.extract.readers.excel:_COLUMN": _of("match", "A", "1", begin="A"),
    "rag_pipeline.ingest.extract.readers.html:_DECLARED": [
        *_of("search", "<meta ", "<meta", "<meta charset", "<meta charset=", "charset", "a"),
        *_of("search", " ", "=", '"', begin="<meta charset="),
        *_of("search", " ", begin="<meta charset"),
    ],
    "rag_pipeline.ingest.extract.readers.html:_SPACE": _of("sub", " ", "a ", "\t\n", "\u2003"),
    "rag_pipeline.ingest.extract.readers.numbers:_LITERAL": _of(
        "sub", "[", '"', "[a", "[h", "\\", "_", "]", '["', '"['
    ),
    "rag_pipeline.ingest.extract.readers.numbers:_OF_DATE": _of("search", "0", "#"),
    "rag_pipeline.ingest.extract.readers.numbers:_OF_TIME": _of("search", "0", "#"),
    "rag_pipeline.ingest.extract.readers.rtf:_TOKEN": _of(
        "match", "\\a", "a", "1", "\\", "\n", "{", "é", begin="\\b-1"
    ),
    "rag_pipeline.ingest.extract.readers.table:_NUMBER": _of("match", "1", " ", "1 ", ")", begin="-$"),
    "rag_pipeline.ingest.extract.readers.table:_QUOTED": _of("sub", '"', '"a', '""', "a", begin='"'),
    "rag_pipeline.ingest.extract.readers.text:_ATX_HEADING": [
        *_of("match", " ", "#", " #", "# ", "\t", begin="# a"),
        *_of("match", " ", "#", " #", begin="# ", end="\n"),
        *_of("match", " ", "#"),
    ],
    "rag_pipeline.ingest.extract.readers.text:_FENCE": _of("match", "`", "~", " "),
    "rag_pipeline.ingest.extract.readers.text:_JSON_ESCAPES": _of("sub", "\\u0041", "\\u", "\\", "\\u004"),
    "rag_pipeline.ingest.extract.readers.text:_UNDERLINE": [
        *_of("match", "=", "-", " ", "= "),
        *_of("match", " ", "\t", begin="=="),
    ],
    "rag_pipeline.ingest.extract.readers.word:_HEADING_NAME": _of("match", "heading ", "1", begin="heading 1"),
    "rag_pipeline.ingest.extract.signatures:_MP3_FRAME": _of("match", "\xff", "\xff\xfb"),
    "rag_pipeline.ingest.extract.html_parser:_ATTRIBUTES": _of("match", "a", " ", '"', "<a "),
    "rag_pipeline.ingest.extract.html_parser:_CDATA_END": _of("search", "]", "]]", ">"),
    "rag_pipeline.ingest.extract.html_parser:_COMMENT_END": _of("search", "-", "--", "!", "--!", "-->x"),
    "rag_pipeline.ingest.extract.html_parser:_DECLARATION_END": _of("search", "a", "<"),
    "rag_pipeline.ingest.extract.html_parser:_NAME": _of("match", "a", "a<"),
    "rag_pipeline.ingest.extract.html_parser:_RAW_END": _of(
        "search", "</script", "<", "</", "</s", "</script</style", end="x"
    ),
    "rag_pipeline.ingest.extract.html_parser:_SPACE": _of("match", " ", "\n\t"),
    "rag_pipeline.ingest.span_tokenizers:EstimatedSpanTokenizer._token": _of(
        "finditer", "a", "-", " ", "\x01", "é", "a-"
    ),
    "rag_pipeline.ingest.store.faults:_DAMAGE": _of("search", "Table '", ".rs:", "1", "'", begin="Table '"),
    "rag_pipeline.ingest.store.faults:_OTHER_CAUSE": _of(
        "search", "A", "A ", " (os error ", "A (os error 2)", "(os error 1"
    ),
    "rag_pipeline.ingest.store.pgvector.address:_SCHEMA": _of("fullmatch", "a", "pg_", "_"),
    "rag_pipeline.ingest.store.pgvector.faults:_MISSING_DATABASE": _of(
        "search", 'database "', '"', "a", begin='database "'
    ),
    "rag_pipeline.ingest.store.pgvector.faults:_PREAMBLE": [
        *_of("sub", "connection to server at ", "connection is bad: ", "failed:", " failed: "),
        *_of("sub", " failed:", "a", begin="connection to server on "),
    ],
    "rag_pipeline.ingest.store.pgvector.words:_ACCENTS": _of("sub", "\u0301", "a"),
    "rag_pipeline.ingest.store.pgvector.words:_WORD": _of(
        "finditer", "a", "_", "\u0e01", "a\u0301", "\u0301", "漢", "a漢", " "
    ),
    "rag_pipeline.ingest.store.rows:_ESCAPED": _of("sub", "\ufdd0", "\ufdd0d", "\ufdd0d800", "a"),
    "rag_pipeline.ingest.store.rows:_TO_ESCAPE": _of("sub", "\ud800", "\ufdd0", "a"),
    "rag_pipeline.journal.base:_OFFSET": _of("fullmatch", "a", "1-", "-"),
    "rag_pipeline.journal.redis.generations:_GENERATION": _of("fullmatch", "a", "1", "1-", " 1", begin="a 1-1"),
    #    "rag_pipeline.logs:_UNPRINTABLE": _of("sub", "\x1b", "\u202e", "a", "\n"),
    "rag_pipeline.normal_forms:_long_runs": _of(
        "sub", "\u0301", "a\u0301", "\u0f73", "漢", "\u0591\u0301", "\U0001e94a", "𝐚"
    ),
    "rag_pipeline.origins:_FIXED_HOST": _of("fullmatch", "1.", ":", "1", begin="http://"),
    "rag_pipeline.origins:_ORIGIN": _of("fullmatch", "a", "a.", ":", ":1", begin="http://"),
    "rag_pipeline.pipelines.google_drive.content:_CONTENT_RANGE": _of(
        "fullmatch", "1", "1-1/", "*", begin="bytes 1-1/"
    ),
    "rag_pipeline.pipelines.google_drive.hosts:_CONTENT_HOST": _of(
        "fullmatch", "a", "a.", "-", ".", "googleusercontent.com."
    ),
    "rag_pipeline.pipelines.google_drive.kinds:_PACKED": _of(
        "fullmatch", "application/", "zip", "x-", begin="application/"
    ),
    "rag_pipeline.pipelines.google_drive.kinds:_PROGRAM": _of("fullmatch", "application/", "x-", begin="application/"),
    "rag_pipeline.pipelines.google_drive.kinds:_READ_ALL_THE_SAME": _of("search", ".doc", ".html", ".", ".docx"),
    "rag_pipeline.pipelines.google_drive.records:_HALF_CHARACTER": _of("sub", "\ud800", "a"),
    "rag_pipeline.pipelines.google_drive.settings:_ID": _of("fullmatch", "a", "-"),
    "rag_pipeline.pipelines.google_drive.spool:_UNFIT": _of("sub", "/", "\\", "a/", "a"),
    "rag_pipeline.pipelines.local_files.mount_table:_escaped_byte": _of("sub", "\\", "\\0", "\\04", "\\040"),
    "rag_pipeline.pipelines.local_files.names:_PASSED_OVER": _of(
        "match", "#", "~", ".tmp", ".part", "~$", "a", begin="#"
    ),
    "rag_pipeline.pipelines.run.table:_KEY": _of("fullmatch", "a", "-"),
    "rag_pipeline.pipelines.run.table:_MAY_BE_SECRET": _of("search", "a", "["),
    "rag_pipeline.pipelines.run.table:_VARIABLE": _of("fullmatch", "A", "_"),
    "rag_pipeline.pipelines.store_command.folders:_ESCAPED": _of("sub", "\\", "\\x", "\\x4", "\\x41"),
    "rag_pipeline.socket_server.request_body:_CHUNK_SIZE": _of("match", "1", " ", ";", "\t", ";a", begin="1"),
    "rag_pipeline.socket_server.request_body:_DIGITS": _of("fullmatch", "1"),
    "rag_pipeline.socket_server.library_hooks:_DIGITS": _of("findall", "1", "1.", "a"),
    "rag_pipeline.socket_server.request_head:_FIELD": _of("match", "a", ":", " ", "\t", "a:", begin="a:"),
    "rag_pipeline.socket_server.request_head:_FIRST": _of("match", "a", "\r", "\n"),
    "rag_pipeline.socket_server.request_head:_REQUEST_LINE": _of("fullmatch", "a", "/ ", "HTTP/1", "1.", begin="GET "),
    "rag_pipeline.socket_server.packets:_HEAD": _of("match", "1", "1-", "/", "/a", ",", begin="1-/"),
    "rag_pipeline.socket_server.websocket:_TOKEN": _of("fullmatch", "a", "!"),
    "rag_pipeline.status.registry:_UNFIT": _of("sub", " ", "a ", "é"),
}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


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
    found: Any = importlib.import_module(module)
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
