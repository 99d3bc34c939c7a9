"""The parts of a mail."""

from __future__ import annotations

from binascii import b2a_base64, b2a_qp

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
    assert text.split("\n") == ["Come!", "", "Event: Meeting", "Start: 2024-05-01 09:00 UTC"]


def test_attached_text_is_read() -> None:
    text = mail(
        "mixed",
        part("text/plain", "one"),
        part("text/plain", "two", "Content-Disposition: attachment; filename=b.txt\n"),
    )
    assert text.split("\n") == ["one", "", "Attachment: b.txt", "two"]


def test_an_attachment_that_is_not_the_text_it_claims_to_be_is_only_named() -> None:
    headers = "Content-Disposition: attachment; filename=b.bin\nContent-Transfer-Encoding: base64\n"
    attached = part("text/plain", "AQID" * 9, headers)
    assert mail("mixed", part("text/plain", "one"), attached).split("\n") == ["one", "", "Attachment: b.bin"]


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


@pytest.mark.parametrize("kind", ["related", 'related; type="text/html"; start="<root>"', "related; start=5"])
def test_the_page_of_a_page_with_pictures_may_come_later(kind: str) -> None:
    picture = part("image/png", "xx", "Content-ID: <a>\n")
    assert mail(kind, picture, part("text/html", "<p>The body", "Content-ID: <root>\n")).strip() == "The body"


def test_frames_of_a_saved_page_are_read() -> None:
    text = mail("related", part("text/html", "<p>Page"), part("text/html", "<p>Frame"), part("text/css", "p{}"))
    assert text.split() == ["Page", "Frame"]


def test_all_pages_of_a_form_with_attachments_are_read() -> None:
    inner = "Content-Type: multipart/mixed; boundary=Y\n\n" + "".join(
        f"--Y\n{one}\n"
        for one in (
            part("text/html", "<p>Hello all."),
            part("application/pdf; name=a.pdf", "x"),
            part("text/html", "<p>The fee is 90."),
        )
    )
    assert mail("alternative", part("text/plain", "Hello all."), inner + "--Y--\n").split("\n") == [
        "Hello all.", "", "Attachment: a.pdf", "The fee is 90.",
    ]  # fmt: skip
    both = mail("alternative", part("text/plain", "Hello all. The fee is 90."), inner + "--Y--\n")
    assert both.split("\n") == ["Hello all. The fee is 90.", "", "Attachment: a.pdf"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_forwarded_mail_may_be_encoded(encoding: str) -> None:
    inner = "From: c\nSubject: Offer\nContent-Type: text/plain; charset=iso-8859-1\n\nDie Gebühr.".encode("latin-1")
    coded = (b2a_base64 if encoding == "base64" else b2a_qp)(inner).decode()
    text = mail("mixed", part("message/rfc822", coded, f"Content-Transfer-Encoding: {encoding}\n"))
    assert text.split("\n")[1:] == ["Subject: Offer", "From: c", "", "Die Gebühr."]


@pytest.mark.parametrize(
    ("message", "warns"),
    [
        (b"Content-Type: image/png\n\nxx", True),
        (b"Content-Type: text/html\n\n<img src=a.png>", True),
        (b"Content-Type: text/plain\n\n\n", False),
        (b"Content-Type: application/pdf; name=a.pdf\n\nxx", False),
        (b"Content-Type: text/html\n\n<p>Text", False),
    ],
)
def test_a_body_that_gave_no_text_is_a_warning(message: bytes, warns: bool) -> None:
    assert warnings(b"From: a\n" + message, "a.eml") == ["the body of the message has no text"] * warns
