"""Headers of mails."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.mail_headers import decode_header_text, looks_like_mail, mend_head


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?b?R3LDvMOfZQ==?=", "Grüße"),
        ("=?iso-8859-1?q?5_=80?= =?utf-8?q?=C3=BC?=", "5 €ü"),
        ("=?gb2312?b?zcu/7g==?=", "退款"),
        ("=?no-such?q?abc?=", "abc"),
        ("=?utf-8?b?broken", "=?utf-8?b?broken"),
        ("raw \udcc3\udcbc and\n folded", "raw ü and folded"),
    ],
)
def test_encoded_words(value: str, text: str) -> None:
    assert decode_header_text(value) == text


def test_broken_lines_are_left_out() -> None:
    head = b"From: a\nbroken line\n continued\nSubject : x\n folded\n\nbody\nbroken: y\n"
    assert mend_head(head) == b"From: a\nSubject: x\n folded\n\nbody\nbroken: y\n"
    assert (
        mend_head(b"From: a\nTo: b\nNo blank line above this.\nEnd")
        == b"From: a\nTo: b\n\nNo blank line above this.\nEnd"
    )
    assert mend_head(b"no headers\n\nx") == b"no headers\n\nx"


def test_mails_are_recognised_by_their_headers() -> None:
    assert looks_like_mail(b"From: a\r\nTo: b\r\nSubject: c\r\n\r\nx")
    assert not looks_like_mail(b"To: b\nSubject: c\nDate: d\n")
    assert not looks_like_mail(b"From: a\nTo: b\nwords\nSubject: c")
    assert not looks_like_mail(b"host: a\nport: b\nfrom: c\n")
