"""Every regular expression of the package takes linear time on any text.

Each pattern has an entry in ``ATTACKS``: texts that provoke backtracking. A pattern without an entry fails the test.
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

pytestmark = pytest.mark.slow

PACKAGE = ROOT / "rag_pipeline"
SIZES = (640, 6_400, 64_000)


class Attack(NamedTuple):
    """The method of the pattern that the code calls, and the text: ``begin``, ``pump`` repeated, ``end``."""

    method: str
    pump: str
    begin: str = ""
    end: str = "\x01"

    def text(self, size: int) -> str:
        return self.begin + self.pump * (size // len(self.pump)) + self.end


def _attacks(method: str, *pumps: str, begin: str = "", end: str = "\x01") -> list[Attack]:
    return [Attack(method, pump, begin, end) for pump in pumps]


ATTACKS: dict[str, list[Attack]] = {
    "rag_pipeline.access.bearer:_BEARER": _attacks("fullmatch", " ", "a", begin="bearer "),
    "rag_pipeline.access.hosts:_HOST": _attacks("fullmatch", "a", "a.", ":", ":1", "[::", "1:", begin="["),
    "rag_pipeline.access.origins:_FIXED_HOST": _attacks("fullmatch", "1.", ":", "1", begin="http://"),
    "rag_pipeline.access.origins:_ORIGIN": _attacks("fullmatch", "a", "a.", ":", ":1", begin="http://"),
    "rag_pipeline.cli.control:_COUNT": _attacks("fullmatch", "1"),
    "rag_pipeline.cli.store.folders:_ESCAPED": _attacks("sub", "\\", "\\x", "\\x4", "\\x41"),
    "rag_pipeline.client.failures:_ERRNO": _attacks("search", "[Errno ", "1", "a ", begin="[Errno 1] "),
    "rag_pipeline.client.failures:_STATUS": _attacks("search", "status code ", "1"),
    "rag_pipeline.common.backoff:_SECONDS": _attacks("fullmatch", "1", "1."),
    "rag_pipeline.common.config:_ALLOWED_HOST": _attacks("fullmatch", "a", "a.", "*.", "."),
    "rag_pipeline.common.config:_HOST": _attacks("fullmatch", "a", "a.", "1:", ":"),
    "rag_pipeline.common.env:_INTEGER": _attacks("fullmatch", "1", "+"),
    "rag_pipeline.common.config:_LOOPBACK": _attacks("fullmatch", "127.", "1", begin="127.0"),
    "rag_pipeline.common.config:_TOKEN": _attacks("fullmatch", "a", "=", "a="),
    "rag_pipeline.common.normal_forms:_long_runs": _attacks(
        "sub", "\u0301", "a\u0301", "\u0f73", "漢", "\u0591\u0301", "\U0001e94a", "𝐚"
    ),
    "rag_pipeline.http_server.accept_header:_WEIGHT": _attacks("fullmatch", "0", "0.", begin="0."),
    "rag_pipeline.http_server.control:_COUNT": _attacks("fullmatch", "1"),
    "rag_pipeline.http_server.json_encoding:_SURROGATE": _attacks("sub", "a", "\ud800"),
    "rag_pipeline.http_server.page:_HOST": _attacks("fullmatch", "a", "a:1", ":", "[::", begin="["),
    "rag_pipeline.http_server.query:_NUMBER": _attacks("fullmatch", "1"),
    "rag_pipeline.http_server.request_head:REQUEST_LINE": _attacks(
        "fullmatch", "a", "/ ", "HTTP/1", "1.", begin="GET "
    ),
    "rag_pipeline.http_server.request_head:_EMPTY_LINE": _attacks("match", "\r", "\n"),
    "rag_pipeline.http_server.request_head:_END": _attacks("search", "\n", "\r", "\n\r", "a"),
    "rag_pipeline.http_server.request_head:_TOKEN_START": _attacks("match", "a"),
    "rag_pipeline.http_server.request_parser:_HEADER_NAME": _attacks("fullmatch", "a", "-"),
    "rag_pipeline.http_server.request_parser:_HEADER_VALUE": _attacks("fullmatch", "a", " ", "\t "),
    "rag_pipeline.ingest.chunker:_BOUNDARIES": [
        *_attacks("finditer", " ", "\n", " \n", "\n ", ".", ".\"'", ". ", "。", "\u2003", end="x"),
        *_attacks("finditer", " ", "\t", begin="\n", end="x"),
        *_attacks("finditer", '"', begin=".", end="x"),
    ],
    "rag_pipeline.ingest.chunker:_ENDS_WORD": _attacks("match", " "),
    "rag_pipeline.ingest.chunker:_WORD": _attacks("search", "_", " ", "-"),
    "rag_pipeline.ingest.extract.cell_kinds:_DATE": _attacks("fullmatch", "1", "a", " ", "1.", begin="2024-01 "),
    "rag_pipeline.ingest.extract.cell_kinds:_NUMBER": _attacks("fullmatch", "1", "1 ", " ", "a", "1,", begin="1"),
    "rag_pipeline.ingest.extract.cell_kinds:_SPAN": _attacks("fullmatch", "1", " ", "1-", begin="2024 "),
    "rag_pipeline.ingest.extract.cell_kinds:_YEAR": _attacks("fullmatch", "20", "1"),
    "rag_pipeline.ingest.extract.cesu8:SURROGATE_BYTES": _attacks("search", "\xed", "\xed\xa0"),
    "rag_pipeline.ingest.extract.cesu8:_ALONE": _attacks("sub", "\ud800"),
    "rag_pipeline.ingest.extract.cesu8:_PAIR": _attacks("sub", "\ud800", "\ud800\udc00"),
    "rag_pipeline.ingest.extract.charset:_NULS": _attacks("sub", "\x00", "\x00a"),
    "rag_pipeline.ingest.extract.unicode_forms:_EAST_ASIAN": _attacks("findall", "漢"),
    "rag_pipeline.ingest.extract.unicode_forms:_HZ": _attacks("search", "~{", "~{!!", "!!", begin="~{"),
    "rag_pipeline.ingest.extract.unicode_forms:_KANA": _attacks("findall", "か"),
    "rag_pipeline.ingest.extract.charset:_BINARY_CONTROL": _attacks("findall", "\x01", "a"),
    "rag_pipeline.ingest.extract.charset:_HIGH": _attacks("search", "a"),
    "rag_pipeline.ingest.extract.charset_guess:_DEBRIS": _attacks("findall", "a", "a░", "░", "\x90"),
    "rag_pipeline.ingest.extract.charset_guess:_HAS_THORN": _attacks("search", "a", "b"),
    "rag_pipeline.ingest.extract.charset_guess:_ICELANDIC": _attacks("search", "a", "b"),
    "rag_pipeline.ingest.extract.charset_guess:_TURKISH": _attacks("search", "a", " ", "e"),
    "rag_pipeline.ingest.extract.charset_guess:_UKRAINIAN": _attacks("search", "б", "а"),
    "rag_pipeline.ingest.extract.charset_guess:_SIGN_IN_WORD": _attacks("search", "a", "³", "a³", "¯"),
    "rag_pipeline.ingest.extract.charset_guess:_WORD": _attacks("findall", "a", "é", "1", "a "),
    "rag_pipeline.ingest.extract.data_uris:_DATA_URI": _attacks(
        "sub", "data:", "data:a/b", "data:a/b;", "data:a/b;a=b", "data:a/b;base64,", "A", begin="data:a/b;base64,"
    ),
    "rag_pipeline.ingest.extract.data_uris:_REST_OF_URI": _attacks("match", "A"),
    "rag_pipeline.ingest.extract.entity_repair:_DECLARED": _attacks("findall", "<!ENTITY ", " ", "%", "a"),
    "rag_pipeline.ingest.extract.entity_repair:_REFERENCE": _attacks("sub", "&", "&a", "&#1", "&#x", "a"),
    "rag_pipeline.ingest.extract.file_type:_CALENDAR_START": _attacks("match", " ", "BEGIN:"),
    "rag_pipeline.ingest.extract.front_matter:_ITEM": _attacks("match", " ", "-", "- "),
    "rag_pipeline.ingest.extract.front_matter:_PAIR": _attacks("match", "a", " ", "a ", ":", begin="a"),
    "rag_pipeline.ingest.extract.html_tree:_EMPTY_XML_TAG": _attacks("sub", "<a", "<a /", "/", "a/", begin="<a"),
    "rag_pipeline.ingest.extract.html_tree:_HIDING_STYLE": _attacks("search", " ", ";", "; ", "display", "display :"),
    "rag_pipeline.ingest.extract.html_tree:_XHTML": _attacks("match", " ", "<html", "a", "<html http://"),
    "rag_pipeline.ingest.extract.mail_headers:MBOX_LINE": _attacks("match", "1:00", "1", "a", begin="From "),
    "rag_pipeline.ingest.extract.mail_headers:_HEADER": _attacks("match", "a", " ", begin="a"),
    "rag_pipeline.ingest.extract.mail_headers:_NAME_SPACE": _attacks("sub", "a", " ", "a "),
    "rag_pipeline.ingest.extract.main_content:_CAMEL": _attacks("sub", "a", "aA", "A"),
    "rag_pipeline.ingest.extract.main_content:_COMMENTS": _attacks("search", " ", "comment", "comment-", "comments "),
    "rag_pipeline.ingest.extract.main_content:_NAVIGATION_NAMES": _attacks("search", " ", "-", "nav", "share", "ads"),
    "rag_pipeline.ingest.extract.readers.calendar:_DATE": _attacks("fullmatch", "1", begin="20240501T"),
    "rag_pipeline.ingest.extract.readers.calendar:_ESCAPE": _attacks("sub", "\\", "\\n"),
    "rag_pipeline.ingest.extract.readers.calendar:_FOLD": _attacks("sub", "\r", "\n", "\n "),
    "rag_pipeline.ingest.extract.readers.html:_DECLARED_IN_XML": _attacks(
        "match", " ", "encoding", "encoding=", "a", begin="<?xml"
    ),
    "rag_pipeline.ingest.extract.readers.html_text:_SPACE": _attacks("sub", " ", "a ", "\t\n"),
    "rag_pipeline.ingest.extract.readers.html_text:_WORD": _attacks("findall", "a", "a ", " "),
    "rag_pipeline.ingest.extract.readers.mail:_BYTE_COUNT": _attacks("match", "1", " ", begin="1"),
    "rag_pipeline.ingest.extract.readers.html_lists:_INTEGER": _attacks("match", " ", "1", begin=" "),
    "rag_pipeline.ingest.extract.readers.html_lists:_UNNUMBERED": _attacks(
        "search", "list-style:", "list-style: ", " ", "a ", begin="list-style:"
    ),
    "rag_pipeline.ingest.extract.terminal_codes:_CODE": _attacks(
        "sub", "\x1b", "\x1b[", "\x1b[0", "\x1b]", "0", "0 ", "a", begin="\x1b["
    ),
    "rag_pipeline.ingest.extract.readers.notebook:_OBJECT": _attacks("fullmatch", "a", ".", " object", " ", begin="<a"),
    "rag_pipeline.ingest.extract.readers.excel_sheet:_FILTER": _attacks(
        "finditer", "<autoFilter", " ref=", " ", "A1", begin="<autoFilter "
    ),
    "rag_pipeline.ingest.extract.data_uris:_BASE64": _attacks("fullmatch", "a", "=", "a="),
    "rag_pipeline.ingest.extract.front_matter:_BLOCK": _attacks("fullmatch", "|", "1", begin="|"),
    "rag_pipeline.ingest.extract.readers.mail_payload:_BASE64": _attacks("fullmatch", "a", "=", "a="),
    "rag_pipeline.ingest.extract.readers.mail_payload:_UU_BEGIN": _attacks("fullmatch", "a", " ", begin="begin 644 "),
    "rag_pipeline.ingest.extract.readers.mail:_QUOTED_FROM": _attacks("sub", ">", "\n>", "\n>From "),
    "rag_pipeline.ingest.extract.readers.pdf.characters:_ONE_LETTER": _attacks("findall", "a", " ", "a ", " a"),
    "rag_pipeline.ingest.extract.readers.pdf.characters:_SURROGATE": _attacks("search", "a"),
    "rag_pipeline.ingest.extract.readers.pdf.characters:_WORD": _attacks("finditer", "a", " ", "a "),
    "rag_pipeline.ingest.extract.readers.pdf.headings:_NOT_IN_TITLES": _attacks("sub", "_", " ", "a "),
    "rag_pipeline.ingest.extract.readers.pdf.hyphens:_BROKEN": _attacks(
        "search", "a", " ", "a-", " a-", "(", begin=" ", end="!"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.hyphens:_START": _attacks("match", "a"),
    "rag_pipeline.ingest.extract.readers.pdf.hyphens:_WORD": _attacks("findall", "a", "-", "a-", "a--"),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_CJK": _attacks("findall", "a", "漢"),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_COMMON": _attacks("findall", "a", "."),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_CONTROL": _attacks("findall", "a", "\x02"),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_GLYPH_NAME": _attacks(
        "findall", "/", "/a", "/a1", "a", "1", begin="/a1"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_LATIN": _attacks("findall", "a", "漢"),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_MIXED_WORD": _attacks(
        "search", "1", "a1", "aB", "a", "aB1", begin="a"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_OT1_LIGATURE": _attacks(
        "search", "a", "\n", "\x10", "\x0a\x10"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_IS_T1": _attacks("search", "a", "\x80", "a\x80", "\x80a"),
    "rag_pipeline.ingest.extract.readers.pdf.accents:_ACCENT": _attacks("finditer", "a", "`", "´", " `", "`a"),
    "rag_pipeline.ingest.extract.readers.pdf.letter_spacing:_SHORT_WORDS": _attacks(
        "finditer", "a", "a ", "aaaa ", " "
    ),
    "rag_pipeline.ingest.extract.readers.pdf.letter_spacing:_TWO_LETTERS": _attacks("search", "a", " ", "a "),
    "rag_pipeline.ingest.extract.readers.pdf.letter_spacing:_TWICE": _attacks("finditer", "a", " a", "aa "),
    "rag_pipeline.ingest.extract.readers.pdf.footnote_marks:_NUMBER": _attacks("finditer", "a", "1", "a1", ".1", "111"),
    "rag_pipeline.ingest.extract.readers.pdf.footnote_marks:_WORD_BEFORE": _attacks("search", "a", ".", "aaa.", "a."),
    "rag_pipeline.ingest.extract.readers.pdf.annotations:_NO_CHOICE": _attacks("fullmatch", "on", "1", "_", "option"),
    "rag_pipeline.ingest.extract.readers.pdf.accents:_CAPITAL": _attacks("finditer", "a", "A"),
    "rag_pipeline.ingest.extract.ocr.merge:_NO_LETTER": _attacks("sub", "a", " ", "_", " a"),
    "rag_pipeline.ingest.extract.readers.pdf.clusters:_HAS_SIGNS": _attacks("search", "a", "é", "漢"),
    "rag_pipeline.ingest.extract.readers.pdf.characters:_SPACE_AMONG_SIGNS": _attacks(
        "finditer", "क", "क ", "कककक ", "ककककक", " ", "a ", end="a"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.hyphens:_UNITS": _attacks(
        "match", "o", "vingt", "vingts", "seven", "fif", "four"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.hyphens:_TENS": _attacks(
        "fullmatch", "twent", "seven", "vi", "soixan", "quatre", "y"
    ),
    "rag_pipeline.ingest.extract.readers.pdf.right_to_left:_NEVER_FIRST": _attacks("match", "ا", "ل", "\u0610", "a"),
    "rag_pipeline.ingest.extract.readers.pdf.legibility:_WORD": _attacks("findall", "a", " ", "a "),
    "rag_pipeline.ingest.extract.readers.pdf.page_text:_NOT_SIMPLE": _attacks("search", "a"),
    "rag_pipeline.ingest.extract.readers.pdf.page_text:_TOKEN": _attacks(
        "finditer", "a", "\r\n", "\ufffe", "a\ufffe", " "
    ),
    "rag_pipeline.ingest.extract.readers.pdf.right_to_left:_HAS_RTL": _attacks("findall", "a", "ש"),
    "rag_pipeline.ingest.extract.readers.pdf.right_to_left:_LTR_RUN": [
        *_attacks("sub", "a", ".", "a.", "a ש", "1", "1.", "1%", "a1", "a שa"),
        *_attacks("sub", ".", begin="a", end="ש"),
    ],
    "rag_pipeline.ingest.extract.readers.pdf.right_to_left:_RTL_RUN": [
        *_attacks("sub", "ש", ".", "ש.", "שa", "ש a"),
        *_attacks("sub", ".", begin="ש", end="a"),
    ],
    "rag_pipeline.ingest.extract.readers.table:_SEP_LINE": _attacks("match", "sep=", '"'),
    "rag_pipeline.ingest.extract.readers.xml:_DECLARED": _attacks(
        "match", " ", "encoding", "encoding=", "a", begin="<?xml"
    ),
    "rag_pipeline.ingest.extract.readers.xml:_MARKUP": _attacks("search", "<a", "<a ", "</", "<p x"),
    "rag_pipeline.ingest.extract.file_type:_FLAT_START": [
        *_attacks("match", " ", "<!--x-->", "<!--", "<?xml >", "<document ", "--> ", "<!---->"),
        *_attacks("match", "office:mimetype", "office:mimetype=", " ", "a", "office:mimetype = '", begin="<document "),
    ],
    "rag_pipeline.ingest.extract.file_type:_HTML_START": [
        *_attacks("match", "<!--x-->", "<!--", "<!-- -->\n", " ", "\n", "<", "--> ", "<!---->"),
        *_attacks("match", " ", "\t", begin="<!doctype"),
    ],
    "rag_pipeline.ingest.extract.file_type:_MAIN_PART": [
        *_attacks("finditer", 'ContentType="', "ContentType=", "ContentType ", ".main+xml", 'ContentType = "'),
        *_attacks("finditer", " ", ".main", "x.main+xml", begin='ContentType="'),
        *_attacks("finditer", " ", begin="ContentType"),
    ],
    "rag_pipeline.ingest.extract.file_type:_XHTML_START": _attacks(
        "match", " ", "<?xml ", "a", "<!doctype ", begin="<?xml "
    ),
    "rag_pipeline.ingest.extract.file_type:_XML_START": _attacks("match", " ", "<?xml", "\n"),
    "rag_pipeline.ingest.extract.html_parser:_ATTRIBUTES": _attacks("match", "a", " ", '"', "<a "),
    "rag_pipeline.ingest.extract.html_parser:_CDATA_END": _attacks("search", "]", "]]", ">"),
    "rag_pipeline.ingest.extract.html_parser:_COMMENT_END": _attacks("search", "-", "--", "!", "--!", "-->x"),
    "rag_pipeline.ingest.extract.html_parser:_DECLARATION_END": _attacks("search", "a", "<"),
    "rag_pipeline.ingest.extract.html_parser:_NAME": _attacks("match", "a", "a<"),
    "rag_pipeline.ingest.extract.html_parser:_RAW_END": _attacks(
        "search", "</script", "<", "</", "</s", "</script</style", end="x"
    ),
    "rag_pipeline.ingest.extract.html_parser:_SPACE": _attacks("match", " ", "\n\t"),
    "rag_pipeline.ingest.extract.opc:_WORD": _attacks("sub", "a", "aA", "A"),
    "rag_pipeline.ingest.extract.readers.excel_parts:_RANGE": _attacks("fullmatch", "A", "1", "A1:", begin="A"),
    "rag_pipeline.ingest.extract.readers.excel_parts:_ESCAPE": _attacks("sub", "_x", "_x000A", "_x000A_", "_"),
    "rag_pipeline.ingest.extract.readers.excel_sheet:_CELL": _attacks("match", "A", "1", begin="A"),
    "rag_pipeline.ingest.extract.readers.excel_sheet:_MERGED": _attacks(
        "finditer", "<mergeCell ", "<a:mergeCell ", "ref=", '<mergeCell ref="A1:', "a", begin="<mergeCell "
    ),
    "rag_pipeline.ingest.extract.readers.html:_DECLARED": [
        *_attacks("search", "<meta ", "<meta", "<meta charset", "<meta charset=", "charset", "a"),
        *_attacks("search", " ", "=", '"', begin="<meta charset="),
        *_attacks("search", " ", begin="<meta charset"),
    ],
    "rag_pipeline.ingest.extract.readers.number_format:_CONDITION": _attacks("match", "1", " ", ".", begin="<"),
    "rag_pipeline.ingest.extract.readers.number_format:_ELAPSED": _attacks("match", "h", "m"),
    "rag_pipeline.ingest.extract.readers.number_format:_TOKEN": _attacks(
        "finditer", "[", '"', "[a", "\\", "_", "]", '["', "s.0", "e", "ge", "a/", "0"
    ),
    "rag_pipeline.ingest.extract.readers.opendocument_body:_LENGTH": _attacks("fullmatch", "1", ".", begin="1."),
    "rag_pipeline.ingest.extract.readers.rtf:_TOKEN": _attacks(
        "match", "\\a", "a", "1", "\\", "\n", "{", "é", begin="\\b-1"
    ),
    "rag_pipeline.ingest.extract.readers.word_binary:_NOT_SHOWN": _attacks("sub", "a", "\x13"),
    "rag_pipeline.ingest.extract.readers.word_styles:_HEADING_NAME": _attacks("match", "1", begin="heading 1"),
    "rag_pipeline.ingest.extract.readers.word_styles:_PLACE": _attacks("sub", "%", "%1", "1"),
    "rag_pipeline.ingest.extract.readers.table:_QUOTED": _attacks("sub", '"', '"a', '""', "a", begin='"'),
    "rag_pipeline.ingest.extract.readers.text:_ATX_HEADING": [
        *_attacks("match", " ", "#", " #", "# ", "\t", begin="# a"),
        *_attacks("match", " ", "#", " #", begin="# ", end="\n"),
        *_attacks("match", " ", "#"),
    ],
    "rag_pipeline.ingest.extract.readers.text:_FENCE": _attacks("match", "`", "~", " "),
    "rag_pipeline.ingest.extract.readers.text:_JSON_ESCAPES": _attacks("sub", "\\u0041", "\\u", "\\", "\\u004"),
    "rag_pipeline.ingest.extract.readers.text:_UNDERLINE": [
        *_attacks("match", "=", "-", " ", "= "),
        *_attacks("match", " ", "\t", begin="=="),
    ],
    "rag_pipeline.ingest.extract.clean_text:_BLANK_LINES": _attacks("sub", "\n", "\n\n", "\n\n\na"),
    "rag_pipeline.ingest.extract.clean_text:_CONTROL": _attacks("sub", "\x01", "a", "\ufeff"),
    "rag_pipeline.ingest.extract.clean_text:_SURROGATE": _attacks("sub", "\ud800", "é"),
    "rag_pipeline.ingest.extract.clean_text:_TRAILING_SPACE": _attacks(
        "sub", " ", "\t", "\xa0", " \t\xa0", " \n", "x ", end="x"
    ),
    "rag_pipeline.ingest.extract.signatures:_MP3_FRAME": _attacks("match", "\xff", "\xff\xfb"),
    "rag_pipeline.ingest.postgres_address:_SCHEMA": _attacks("fullmatch", "a", "pg_", "_"),
    "rag_pipeline.ingest.span_tokenizers:EstimatedSpanTokenizer._token": _attacks(
        "finditer", "a", "-", " ", "\x01", "é", "a-"
    ),
    "rag_pipeline.ingest.store.lance.errors:_DAMAGE": _attacks("search", "Table '", ".rs:", "1", "'", begin="Table '"),
    "rag_pipeline.ingest.store.lance.errors:_OTHER_CAUSE": _attacks(
        "search", "A", "A ", " (os error ", "A (os error 2)", "(os error 1"
    ),
    "rag_pipeline.ingest.store.escaping:_ESCAPED": _attacks("sub", "\ufdd0", "\ufdd0d", "\ufdd0d800", "a"),
    "rag_pipeline.ingest.store.escaping:_TO_ESCAPE": _attacks("sub", "\ud800", "\ufdd0", "a"),
    "rag_pipeline.ingest.store.pgvector.errors:_MISSING_DATABASE": _attacks(
        "search", 'database "', '"', "a", begin='database "'
    ),
    "rag_pipeline.ingest.store.pgvector.errors:_PREAMBLE": [
        *_attacks("sub", "connection to server at ", "connection is bad: ", "failed:", " failed: "),
        *_attacks("sub", " failed:", "a", begin="connection to server on "),
    ],
    "rag_pipeline.http_server.query:_TYPE": _attacks("fullmatch", "a", "/", "a/", "*"),
    "rag_pipeline.ingest.chunker:_LETTERS": _attacks("findall", "a", "_", "a_", " "),
    "rag_pipeline.ingest.extract.clean_text:_COMPATIBILITY": _attacks("sub", "\ufb01", "\u2f00a", "a"),
    "rag_pipeline.ingest.extract.clean_text:_INVISIBLE": _attacks("sub", "\u200b", "a\u2060", "a"),
    "rag_pipeline.ingest.extract.clean_text:_ODD": _attacks("findall", "\ufffd", "\ue000a", "a"),
    "rag_pipeline.ingest.extract.clean_text:_SOFT_HYPHEN": _attacks("sub", "\xad", "\xad ", " ", "\xad \n"),
    "rag_pipeline.ingest.extract.clean_text:_JOINERS": _attacks("sub", "\u200c", "a\u200d", "\u0645\u200c"),
    "rag_pipeline.ingest.extract.clean_text:_SYMBOL": _attacks("sub", "\uf0b7", "a"),
    "rag_pipeline.ingest.extract.installed_plugins:_NAME": _attacks("fullmatch", "a", ".", "/", "a/", begin="."),
    "rag_pipeline.ingest.extract.ocr.engine:_OUT_OF_MEMORY": _attacks("search", "bad", "bad.", "out of ", "allocate "),
    "rag_pipeline.ingest.extract.ocr.merge:_PAGE": _attacks("match", "1", begin="page "),
    "rag_pipeline.ingest.headings:_EXTENSION": _attacks("sub", ".", ".a", "a"),
    "rag_pipeline.ingest.headings:_POSITION": _attacks("fullmatch", ", page 1", "1", ", ", "1-1", begin="page 1"),
    "rag_pipeline.ingest.headings:_SAYS_SOMETHING": _attacks("search", "ab1", "ab", "a_"),
    "rag_pipeline.ingest.headings:_SEPARATORS": _attacks("sub", " ", "_", "a_", "a"),
    "rag_pipeline.ingest.terms.folding:_OPTIONAL_MARKS": _attacks("sub", "\u0301", "a\u0301", "a"),
    "rag_pipeline.ingest.terms.splitter:_ASCII_PART": _attacks("findall", "A", "Aa", "a", "1", "A1"),
    "rag_pipeline.ingest.terms.splitter:_CONNECTOR": _attacks("split", "-", "a-", "_", "a"),
    "rag_pipeline.ingest.terms.splitter:_GROUPED_NUMBER": _attacks("sub", "1", ",111", "1,", "111,", begin="1"),
    "rag_pipeline.ingest.terms.splitter:_ONE_CHARACTER_WORD": _attacks("findall", "漢", "a"),
    "rag_pipeline.ingest.terms.splitter:_OTHER_PART": _attacks("findall", "1", "é", "1é"),
    "rag_pipeline.ingest.terms.splitter:_RUN": _attacks(
        "finditer", "a", "_", "a_", "a-", "\u0e01", "a\u0301", "\u0301", "漢", "a漢", "+", "a+", "a++", " "
    ),
    "rag_pipeline.ingest.terms.splitter:_VERSION": _attacks("match", "v", "1", begin="v"),
    "rag_pipeline.journal.base:_OFFSET": _attacks("fullmatch", "a", "1-", "-"),
    "rag_pipeline.journal.redis.generations:_GENERATION": _attacks("fullmatch", "a", "1", "1-", " 1", begin="a 1-1"),
    "rag_pipeline.socket_server.library_hooks:_DIGITS": _attacks("findall", "1", "1.", "a"),
    "rag_pipeline.socket_server.packets:_HEAD": _attacks("match", "1", "1-", "/", "/a", ",", begin="1-/"),
    "rag_pipeline.socket_server.request_body:_CHUNK_SIZE": _attacks("match", "1", " ", ";", "\t", ";a", begin="1"),
    "rag_pipeline.socket_server.request_body:_DIGITS": _attacks("fullmatch", "1"),
    "rag_pipeline.socket_server.request_head:_FIELD": _attacks("match", "a", ":", " ", "\t", "a:", begin="a:"),
    "rag_pipeline.socket_server.request_head:_FIRST": _attacks("match", "a", "\r", "\n"),
    "rag_pipeline.socket_server.request_head:_REQUEST_LINE": _attacks(
        "fullmatch", "a", "/ ", "HTTP/1", "1.", begin="GET "
    ),
    "rag_pipeline.socket_server.websocket:_TOKEN": _attacks("fullmatch", "a", "!"),
    "rag_pipeline.sources.google_drive.download:_CONTENT_RANGE": _attacks(
        "fullmatch", "1", "1-1/", "*", begin="bytes 1-1/"
    ),
    "rag_pipeline.sources.google_drive.download_folder:_NOT_IN_NAMES": _attacks("sub", "/", "\\", "a/", "a"),
    "rag_pipeline.sources.google_drive.export_formats:_ALWAYS_READ": _attacks("search", ".doc", ".html", ".", ".docx"),
    "rag_pipeline.sources.google_drive.export_formats:_ARCHIVE": _attacks(
        "fullmatch", "application/", "zip", "x-", begin="application/"
    ),
    "rag_pipeline.sources.google_drive.export_formats:_PROGRAM": _attacks(
        "fullmatch", "application/", "x-", begin="application/"
    ),
    "rag_pipeline.sources.google_drive.records:_LONE_SURROGATE": _attacks("sub", "\ud800", "a"),
    "rag_pipeline.sources.google_drive.settings:_ID": _attacks("fullmatch", "a", "-"),
    "rag_pipeline.sources.google_drive.transport.hosts:_CONTENT_HOST": _attacks(
        "fullmatch", "a", "a.", "-", ".", "googleusercontent.com."
    ),
    "rag_pipeline.sources.local_files.mount_table:_escaped_byte": _attacks("sub", "\\", "\\0", "\\04", "\\040"),
    "rag_pipeline.sources.local_files.names:_IGNORED_PATTERN": _attacks(
        "match", "#", "~", ".tmp", ".part", "~$", "a", begin="#"
    ),
    "rag_pipeline.sources.runner.toml_table:_KEY": _attacks("fullmatch", "a", "-"),
    "rag_pipeline.sources.runner.toml_table:_MAY_BE_SECRET": _attacks("search", "a", "["),
    "rag_pipeline.sources.runner.toml_table:_VARIABLE": _attacks("fullmatch", "A", "_"),
    "rag_pipeline.status.identity:_UNFIT": _attacks("sub", " ", "a ", "é"),
}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def _compiles(node: ast.AST) -> bool:
    return any(_re_function(inner) == "compile" for inner in ast.walk(node))


def _re_function(node: ast.AST) -> str | None:
    """Return the name of the ``re`` function that a node calls, or None."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    return node.func.attr if isinstance(node.func.value, ast.Name) and node.func.value.id == "re" else None


def _assigned(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    """Yield each name that holds patterns, in a module and its classes, with the number of ``re`` calls."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _assigned(statement.body, f"{prefix}{statement.name}.")
        elif isinstance(statement, ast.FunctionDef) and _compiles(statement):
            # A function that compiles a pattern on first use.
            yield prefix + statement.name, sum(_re_function(node) is not None for node in ast.walk(statement))
        elif isinstance(statement, ast.Assign) and _compiles(statement.value):
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            yield prefix + target.id, sum(_re_function(node) is not None for node in ast.walk(statement.value))


def _patterns(entry: str) -> list[re.Pattern[Any]]:
    module, _, name = entry.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    if callable(value):
        value = value()
    if isinstance(value, re.Pattern):
        return [value]
    return list(value.values() if isinstance(value, dict) else value)


def test_each_pattern_has_a_name_and_an_entry() -> None:
    named: set[str] = set()
    for module, path in _modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = dict(_assigned(tree.body, ""))
        named.update(f"{module}:{name}" for name in found)
        calls = [node for node in ast.walk(tree) if _re_function(node) not in (None, "escape")]
        assert len(calls) == sum(found.values()), f"{path}: assign each pattern to a name in the module or its class"
        assert not any(isinstance(node, ast.ImportFrom) and node.module == "re" for node in ast.walk(tree)), path
    assert named == set(ATTACKS)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("entry", sorted(ATTACKS))
def test_a_pattern_takes_linear_time(entry: str) -> None:
    for pattern in _patterns(entry):
        for attack in ATTACKS[entry]:
            assert_linear(_prepare(pattern, attack), SIZES, attack)


@pytest.mark.slow
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
def test_quadratic_patterns_are_detected(pattern: str, attack: Attack) -> None:
    with pytest.raises((AssertionError, TimeoutError)), time_limit(5):
        assert_linear(_prepare(re.compile(pattern), attack), SIZES, attack)


def _prepare(pattern: re.Pattern[Any], attack: Attack) -> Callable[[int], Callable[[], None]]:
    def prepare(size: int) -> Callable[[], None]:
        text = attack.text(size)
        return lambda: _apply(pattern, attack.method, text)

    return prepare


def _apply(pattern: re.Pattern[Any], method: str, text: str) -> None:
    subject: Any = text.encode("utf-8", "surrogatepass") if isinstance(pattern.pattern, bytes) else text
    if method == "sub":
        pattern.sub(subject[:0], subject)
    elif method == "finditer":
        for _ in pattern.finditer(subject):
            pass
    else:
        getattr(pattern, method)(subject)
