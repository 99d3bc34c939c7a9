"""The parts of a mail."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import read, warnings

START = b"From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/%s; boundary=X\n\n"


def mail(kind: str, *parts: str) -> str:
    body = b"".join(b"--X\n" + part.encode() + b"\n" for part in parts)
    return read((START % kind.encode()) + body + b"--X--\n", "a.eml")[0][1].partition("\n\n")[2]


def part(kind: str, text: str, more: str = "") -> str:
    return f"Content-Type: {kind}\n{more}\n{text}"


def test_all_text_parts_come_in_order() -> None:
    text = mail("mixed", part("text/plain", "one"), part("image/png; name=a.png", "xx"), part("text/html", "<p>two"))
    assert text.split() == ["one", "Attachment:", "a.png", "two"]


def test_a_forwarded_mail_is_read_with_its_headers() -> None:
    text = mail(
        "mixed", part("text/plain", "See below."), part("message/rfc822", "From: c\nSubject: Offer\n\n4000 euros.")
    )
    assert text.split("\n") == ["See below.", "", "Forwarded message:", "Subject: Offer", "From: c", "", "4000 euros."]


@pytest.mark.parametrize("plain", ["", "Your program shows no HTML."])
def test_html_is_read_where_the_plain_text_is_a_stub(plain: str) -> None:
    page = "<p>The meeting is on Monday at ten in the large hall, please bring the papers with you.</p>"
    text = mail("alternative", part("text/plain", plain), part("text/html", page))
    assert text.strip().startswith("The meeting")
    assert plain == "" or plain not in text


def test_plain_text_is_read_where_it_says_the_same() -> None:
    assert (
        mail("alternative", part("text/plain", "Hello *you*"), part("text/html", "<b>Hello you</b>")).strip()
        == "Hello *you*"
    )


def test_an_invitation_is_read() -> None:
    event = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Meeting\nDTSTART:20240501T090000Z\nEND:VEVENT\nEND:VCALENDAR"
    text = mail("alternative", part("text/plain", "Come!"), part("text/calendar; method=REQUEST", event))
    assert text.split("\n") == ["Come!", "Event: Meeting", "Start: 2024-05-01 09:00 UTC"]


def test_attached_text_is_only_named() -> None:
    text = mail(
        "mixed",
        part("text/plain", "one"),
        part("text/plain", "two", "Content-Disposition: attachment; filename=b.txt\n"),
    )
    assert text.split("\n") == ["one", "", "Attachment: b.txt"]


def test_an_encrypted_part_is_a_warning() -> None:
    data = (START % b"mixed") + b"--X\n\none\n--X\nContent-Type: application/pkcs7-mime\n\nzz\n--X--\n"
    assert warnings(data, "a.eml") == ["an encrypted part of the message was left out"]


def test_mails_nested_without_end_are_left_out() -> None:
    data = b"From: a\nContent-Type: message/rfc822\n\n" * 70 + b"From: z\n\nend"
    assert warnings(data, "a.eml") == ["mails inside mails were left out"]


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: garbage", b"Content-Type: multipart/mixed", b"Content-Transfer-Encoding: base64x",
        b"Content-Type: text/plain; charset=\xff", b"Content-Type: text/plain; charset*=x", b"Content-Type: ;;;",
    ],
)  # fmt: skip
def test_broken_headers_lose_no_text(head: bytes) -> None:
    assert "the text" in read(b"From: a\n" + head + b"\n\nthe text", "a.eml")[0][1]
