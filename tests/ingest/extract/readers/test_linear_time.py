"""Reading takes linear time, even for files that are made to cause rescans."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from rag_pipeline.errors import CorruptFileError
from tests.ingest.extract.makers import read_messages
from tests.support.linear_time import assert_linear

pytestmark = pytest.mark.slow

SIZES = (2_000, 20_000, 200_000)

MARKUP = (
    b"<", b"</", b"<a", b"<a ", b"<a b=", b'<a b="', b"<!", b"<!--", b"<!-->", b"<?", b"<![CDATA[", b"&", b"&#x", b"&a",
    b"<script>", b"</script", b"<pre>", b"<h1>x", b"<title>", b"<select>", b"<li>", b"-->",
)  # fmt: skip
HEADERS = (
    b"Subject", b"From", b"Date", b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding",
)  # fmt: skip
IN_HEADERS = (
    b"(", b")", b"<", b",", b"a ", b'"', b"\\", b";", b";a=b", b";a*0=b", b"=?a?q?a?= ", b"=?a?q", b".", b"a@b,", b"[",
)  # fmt: skip

# The file's name, its start, the repeated part, its end.
ATTACKS = [
    ("a.txt", b"", b"<!--x-->", b"x"),
    ("a.txt", b"", b"<!-- ", b"x"),
    ("a.txt", b"a \n", b" ", b"x"),
    ("a.txt", b"a\t\n", b"\t ", b"x"),
    ("a.md", b"# a", b" ", b"x"),
    ("a.md", b"# a", b" #", b"x"),
    ("a.md", b"a\n=", b" ", b"x"),
    ("a.md", b"# " + b"a " * 30_000 + b"\n## " + b"b " * 30_000 + b"\n", b"### a\nb\n### c\nd\n", b""),
    ("a.csv", b"", b'"', b"x"),
    ("a.csv", b"a,b\n", b'"a"', b"x"),
    ("a.json", b"", b"\\u0041\\u", b""),
    ("a.ipynb", b'{"cells": [', b"[", b""),
    ("a.rtf", b"{\\rtf1 ", b"{\\*", b"x"),
    ("a.rtf", b"{\\rtf1 ", b"\\'e9", b"}"),
    ("a.rtf", b"{\\rtf1 ", b"{\\footnote x", b""),
    ("a.rtf", b"{\\rtf1 ", b"\\trowd\\cellx1\\intbl a\\cell\\row ", b"}"),
    ("a.rtf", b"{\\rtf1 ", b"\\itap9 a\\nestcell\\itap1 b\\cell ", b"}"),
    ("a.rtf", b"{\\rtf1 {\\fonttbl", b"{\\f1 A;}", b"}x}"),
    ("a.xml", b"<?xml version='1.0'?><r>", b"<a b='c d'/>", b"</r>"),
    *(("a.html", b"<html>x" + begin, pump, b"") for begin in (b"", b"<a b='", b"<script>") for pump in MARKUP),
    *(("a.eml", header + b": ", pump, b"\n\nx") for header in HEADERS for pump in IN_HEADERS),
    ("a.eml", b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n", b"--b\n\n", b"--b--"),
    ("a.eml", b"Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n", b"=41=", b""),
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "begin", "pump", "end"), ATTACKS, ids=lambda value: repr(value)[:20])
def test_reading_takes_linear_time(name: str, begin: bytes, pump: bytes, end: bytes) -> None:
    def prepare(size: int) -> Callable[[], None]:
        data = begin + pump * (size // len(pump)) + end

        def read() -> None:
            with suppress(CorruptFileError):
                read_messages(data, name)

        return read

    with suppress(RecursionError):  # deep JSON raises it; the worker handles it
        assert_linear(prepare, SIZES, (name, begin[:80], pump))
