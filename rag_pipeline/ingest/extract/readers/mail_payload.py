"""Decode the bodies of the parts of a mail, also where they are not encoded as their headers say."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from email.message import MIMEPart

from rag_pipeline.ingest.extract.charset import decode_text
from rag_pipeline.ingest.extract.readers.html import declared_charset

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_UU_BEGIN = re.compile(r"begin [0-7]{3,4} (\S.{0,255})")
_LEAST_SECOND_BASE64 = 24  # a word of a footer may be base64 too
_ENCODED = frozenset({"base64", "quoted-printable"})


def transfer_encoding(part: MIMEPart) -> str:
    """Return the encoding that a part says it has, in lower case."""
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower()


def text_of(part: MIMEPart) -> str:
    """Return the text of a part that holds no others."""
    payload = _bytes_of(part)
    charset = None
    with suppress(LookupError, ValueError, TypeError):
        charset = part.get_content_charset()
    if charset and charset.startswith(("utf-16", "utf-32", "utf-7")):
        with suppress(LookupError):
            return payload.decode(charset, "replace")
    if charset is None and part.get_content_type() == "text/html":
        charset = declared_charset(payload[:4096])
    return decode_text(payload, charset)


def encoded_message(part: MIMEPart, inner: MIMEPart) -> bytes | None:
    """Return the mail in a part that encodes it, which the standard forbids; None if it is not encoded."""
    encoding = transfer_encoding(part)
    if encoding not in _ENCODED:
        return None
    raw = inner.as_bytes().lstrip(b"\r\n")
    if encoding == "quoted-printable":
        return quopri.decodestring(raw)
    return _base64_with_text(raw.decode("ascii", "surrogateescape"))


def without_uuencoded(text: str) -> tuple[str, list[str]]:
    """Return a text without the files that are written into it by uuencode, and their names."""
    if "begin " not in text:
        return text, []
    lines = text.splitlines(keepends=True)
    kept: list[str] = []
    names: list[str] = []
    at = 0
    while at < len(lines):
        begin = _UU_BEGIN.fullmatch(lines[at].rstrip())
        end = _end_of_uuencoded(lines, at + 1) if begin else 0
        if begin and end:
            names.append(begin[1])
            at = end
        else:
            kept.append(lines[at])
            at += 1
    return "".join(kept), names


def _end_of_uuencoded(lines: Sequence[str], at: int) -> int:
    """Return the number of the line below an encoded file; 0 if there is none."""
    start = at
    while at < len(lines) and _is_uuencoded(lines[at].rstrip("\r\n")):
        at += 1
    if at == start:
        return 0
    while at < len(lines) and lines[at].strip() in ("", "`"):
        at += 1
    return at + 1 if at < len(lines) and lines[at].strip() == "end" else at


def _is_uuencoded(line: str) -> bool:
    """Return whether the first character of a line says how many follow. Spaces at its end may be lost."""
    if not line or not " " < line[0] <= "M":
        return False
    length = (ord(line[0]) - 32 + 2) // 3 * 4
    body = line[1:]
    # Some programs add a checksum.
    return length - 4 <= len(body) <= length + 1 and all(" " <= char <= "`" for char in body)


def _bytes_of(part: MIMEPart) -> bytes:
    if transfer_encoding(part) == "base64":
        raw = part.get_payload()
        if isinstance(raw, str):
            return _base64_with_text(raw)
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _base64_with_text(raw: str) -> bytes:
    """Decode base64 below which programs put plain text, such as a mailing list its footer."""
    pieces: list[bytes] = []
    for is_base64, lines in _runs(raw):
        joined = "".join(lines)
        if is_base64 and (not pieces or (len(joined) >= _LEAST_SECOND_BASE64 and len(joined) % 4 == 0)):
            pieces.extend(binascii.a2b_base64(block + "==") for block in _blocks(joined))
        elif not pieces:
            return raw.encode("utf-8", "surrogateescape")  # it is not encoded at all
        else:
            pieces.append(b"\n" + "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n")
    return b"".join(pieces)


def _runs(raw: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield lines of base64 and lines of text in turns. A short line ends base64, if there is text below it."""
    lines = raw.splitlines()
    has_text = any(line.strip() and not _BASE64.fullmatch(line.strip()) for line in lines)
    run: list[str] = []
    was_base64 = False
    for line in lines:
        stripped = line.strip()
        is_base64 = bool(_BASE64.fullmatch(stripped))
        if not stripped and (was_base64 or not run):
            continue
        is_over = has_text and was_base64 and len(run[-1]) < len(run[0])
        if run and (is_base64 != was_base64 or is_over):
            yield was_base64, run
            run = []
        was_base64 = is_base64
        run.append(stripped if is_base64 else line)
    if run:
        yield was_base64, run


def _blocks(joined: str) -> Iterator[str]:
    """Yield the pieces of base64 that were encoded one by one: each ends with its padding."""
    for block in joined.split("="):
        yield block[:-1] if len(block) % 4 == 1 else block  # one character alone encodes nothing
