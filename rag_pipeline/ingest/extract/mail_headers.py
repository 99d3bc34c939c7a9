"""Decode the headers of mails, whatever their charset, and leave broken ones out."""

from __future__ import annotations

import binascii
import re
from email.errors import HeaderParseError
from email.header import decode_header

from rag_pipeline.ingest.extract.charset import decode_text

MAX_HEADER_CHARACTERS = 8192
"""The library parses headers in quadratic time, so they are cut."""
MBOX_LINE = re.compile(rb"From [^\r\n]{0,200}[0-9]{1,2}:[0-9]{2}[^\r\n]{0,100}[0-9]{4}")
"""The line above each mail of a mailbox."""
_MAX_HEAD_BYTES = 1 << 20
_HEADER = re.compile(rb"[!-9;-~]{1,200}[ \t]{0,8}:")
_NAME_SPACE = re.compile(rb"^([!-9;-~]{1,200})[ \t]{1,8}:")
_MAIL_NAMES = frozenset(
    b"""from to cc bcc subject date sender reply-to message-id received return-path delivered-to mime-version
    content-type content-transfer-encoding in-reply-to references x-mailer dkim-signature list-id""".split()
)
_ORIGIN = frozenset({b"from", b"sender", b"received", b"return-path", b"message-id", b"delivered-to"})
_MIN_NAMES = 3


def decode_header_text(value: str) -> str:
    """Return a header on one line, with its encoded words and raw bytes decoded."""
    value = value[:MAX_HEADER_CHARACTERS]
    line = " ".join(decode_text(value.encode("utf-8", "surrogateescape")).split())
    if "=?" not in line:
        return line
    try:
        words = decode_header(line)
    except (HeaderParseError, binascii.Error, ValueError):
        return line
    text = "".join(word if isinstance(word, str) else decode_text(word, charset) for word, charset in words)
    return " ".join(text.split())


def is_header(line: bytes) -> bool:
    """Return whether a line can be the first below the one that begins a mail of a mailbox."""
    return bool(_HEADER.match(line)) or line.startswith(b">From ")


def looks_like_mail(head: bytes) -> bool:
    """Return whether a file begins with at least three headers of a mail, among them where it is from."""
    names = set()
    for line in head.splitlines()[:200]:
        if not line.strip():
            break
        if line[:1] in b" \t" or line.startswith((b"From ", b">From ")):
            continue
        match = _HEADER.match(line)
        if match is None:
            return False
        names.add(match[0].rstrip(b": \t").lower())
    return len(names & _MAIL_NAMES) >= _MIN_NAMES and bool(names & _ORIGIN)


def mend_head(message: bytes) -> bytes:
    """Leave out the lines among the headers that are none, and end the headers where no more follow."""
    lines = message[:_MAX_HEAD_BYTES].splitlines(keepends=True)
    length = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    headers = [at for at in range(length) if _HEADER.match(lines[at])]
    if not headers:
        return message
    last = headers[-1]
    mended: list[bytes] = []
    in_header = False
    for line in lines[: last + 1]:
        if _HEADER.match(line):
            mended.append(_NAME_SPACE.sub(rb"\1:", line))
            in_header = True
        elif line[:1] in b" \t" and in_header:
            mended.append(line)
        else:
            in_header = False  # and what continues a broken line is left out as well
    end = last + 1
    while end < length and lines[end][:1] in (b" ", b"\t"):
        mended.append(lines[end])
        end += 1
    if end < length:
        mended.append(b"\n")  # text without the blank line before it
    return b"".join(mended) + message[sum(map(len, lines[:end])) :]
