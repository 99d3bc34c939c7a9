"""E-mail."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from tests.ingest.extract.makers import read


def test_headers_body_and_attachment_names_are_read() -> None:
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message["From"] = "a@example.org"
    message["X-Spam"] = "no"
    message.set_content("Hällo\n")
    message.add_alternative("<p>Hällo</p>", subtype="html")
    message.add_attachment(b"secret", maintype="application", subtype="pdf", filename="report.pdf")
    ((locator, text),) = read(message.as_bytes(), "a.eml")
    assert locator == "message"
    assert text == "Subject: Grüße\nFrom: a@example.org\n\nHällo\n\nAttachment: report.pdf"


def test_an_html_body_is_read() -> None:
    data = b"Subject: x\nContent-Type: text/html; charset=no-such\n\n<p>one<p>two"
    assert read(data, "a.eml") == [("message", "Subject: x\n\none\n\ntwo")]


def test_encrypted_and_damaged_messages_are_errors() -> None:
    with pytest.raises(EncryptedFileError):
        read(b"Content-Type: application/pkcs7-mime\n\nxxxx", "a.eml")
    with pytest.raises(CorruptFileError):
        read(b"\nno headers", "a.eml")


@pytest.mark.parametrize("blank", ["", "\n"])
def test_mails_of_a_mailbox_need_no_blank_line_between_them(blank: str) -> None:
    start = "From - Mon May  6 10:00:00 2024\nX-Mozilla-Status: 0001\nSubject: x\n\n"
    data = f"{start}one\n\n{start.splitlines()[0]}\nis no mail.\n{blank}{start}>From here two\n".encode()
    first, second = read(data, "a.mbox")
    assert first == ("message 1", "Subject: x\n\none\n\nFrom - Mon May  6 10:00:00 2024\nis no mail.")
    assert second == ("message 2", "Subject: x\n\nFrom here two")


def test_blank_lines_above_the_headers_are_skipped() -> None:
    assert read(b"\r\n\nFrom: a@example.org\nSubject: x\n\nwords", "a.eml")[0][1].endswith("words")


def test_utf_7_is_read_where_a_mail_declares_it() -> None:
    data = b"Subject: x\nContent-Type: text/plain; charset=utf-7\n\nGr+APYA3w-e"
    assert read(data, "a.eml") == [("message", "Subject: x\n\nGröße")]
