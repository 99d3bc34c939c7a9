"""Mails by Python's email package, laid out as mail programs do."""

from __future__ import annotations

import mailbox
import platform
from email.header import Header
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, compat32

from tests.corpus.make.programs import FILES, write_truth
from tests.corpus.make.texts import LANGUAGES

_PROGRAM = f"Python's email package, {platform.python_version()}"
_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
# Names of headers, and what stands in them beside the subject.
_HEADERS = "may: From To Subject Date Cc Fri 01 Mar 2024 09 30 00 0100 ann example org omar Ann Berg Omar 1 2 Message Attachment"
_INVITATION = """BEGIN:VCALENDAR
VERSION:2.0
METHOD:REQUEST
BEGIN:VEVENT
UID:4711@example.org
DTSTART:20240308T130000Z
DTEND:20240308T140000Z
SUMMARY:Inspection of the northern quay
LOCATION:Meeting point at the crane
END:VEVENT
END:VCALENDAR
"""


def make() -> None:
    """Make all files of this program."""
    _newsletter()
    _offer()
    _forwarded()
    _invitation()
    _languages()
    _mbox()
    _picture_between()


def _mail(subject: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = "Ann Berg <ann@example.org>", "omar@example.org"
    mail["Subject"], mail["Date"] = subject, "Fri, 01 Mar 2024 09:30:00 +0100"
    return mail


def _save(name: str, data: bytes, lines: list[str]) -> None:
    (FILES / name).write_bytes(data)
    write_truth(name, [_HEADERS, *lines], _PROGRAM)


def _newsletter() -> None:
    """The plain part is a stub; the text is in HTML."""
    mail = _mail("Fährplan im Sommer")
    mail.set_content("Your mail program cannot show this message. Open it in a browser.\n", cte="quoted-printable")
    page = (
        "<html><head><style>p {color: #333}</style></head><body><h1>Fährplan im Sommer</h1>"
        "<p>Ab dem 1. Juni fahren die Fähren alle zwanzig Minuten.</p><table><tr><th>Linie</th><th>Erste Fahrt</th></tr>"
        "<tr><td>Nordkai</td><td>05:40</td></tr><tr><td>Südkai</td><td>06:10</td></tr></table></body></html>"
    )
    mail.add_alternative(page, subtype="html", cte="quoted-printable")
    truth = [
        "anywhere: Fährplan im Sommer", "may: Fährplan im Sommer", "Ab dem 1. Juni fahren die Fähren alle zwanzig Minuten.",
        "head: Linie | Erste Fahrt", "row: Nordkai | 05:40", "row: Südkai | 06:10", "not: color",
        "may: Your mail program cannot show this message. Open it in a browser.",
    ]  # fmt: skip
    _save("mail-newsletter.eml", mail.as_bytes(), truth)


def _offer() -> None:
    """Both parts have the text, which must be found once; with an attachment."""
    mail = _mail("Offer 2024-17")
    mail.set_content("Dear Omar,\n\nwe offer three cranes for 90000 euros.\n\nRegards\nAnn\n")
    mail.add_alternative(
        "<p>Dear Omar,</p><p>we offer three cranes for 90000 euros.</p><p>Regards<br>Ann</p>", subtype="html"
    )
    mail.add_attachment(_PICTURE, maintype="image", subtype="png", filename="crane.png")
    truth = [
        "anywhere: Offer 2024-17", "anywhere: Dear Omar", "we offer three cranes for 90000 euros.", "Regards", "may: Ann",
        "may: crane png image",
    ]  # fmt: skip
    _save("mail-offer.eml", mail.as_bytes(), truth)


def _forwarded() -> None:
    inner = _mail("Dredging in May")
    inner.set_content("The channel will be dredged from 6 to 17 May. Vessels over nine metres must wait.\n")
    mail = _mail("Fwd: Dredging in May")
    mail.set_content("Please tell all captains.\n")
    mail.add_attachment(inner)
    truth = [
        "may: Fwd Dredging in May message", "Please tell all captains.",
        "The channel will be dredged from 6 to 17 May. Vessels over nine metres must wait.",
    ]  # fmt: skip
    _save("mail-forwarded.eml", mail.as_bytes(), truth)


def _invitation() -> None:
    mail = _mail("Inspection")
    mail.set_content("Please come to the inspection.\n")
    mail.add_alternative(_INVITATION.encode(), maintype="text", subtype="calendar", params={"method": "REQUEST"})
    truth = [
        "may: Inspection", "Please come to the inspection.", "anywhere: Inspection of the northern quay",
        "anywhere: Meeting point at the crane", "not: BEGIN:VEVENT", "not: UID:4711",
        "may: 2024 03 08 13 00 14 20240308 T 130000 140000 Z Summary Location Start End when where UTC",
    ]  # fmt: skip
    _save("mail-invitation.eml", mail.as_bytes(), truth)


def _languages() -> None:
    charsets = {
        "fr": "iso-8859-1", "pl": "iso-8859-2", "ru": "koi8-r", "ja": "iso-2022-jp", "zh": "gb18030", "he": "utf-8",
        "tr": "windows-1254",
    }  # fmt: skip
    for language, charset in charsets.items():
        subject, text = (part.replace("’", "'").replace("œ", "oe") for part in LANGUAGES[language])
        mail = MIMEMultipart("mixed", policy=compat32)
        mail["From"], mail["To"] = "ann@example.org", "omar@example.org"
        mail["Date"] = "Fri, 01 Mar 2024 09:30:00 +0100"
        mail["Subject"] = Header(subject, charset).encode()  # folded and encoded word by word
        mail.attach(MIMEText(text, "plain", charset))
        _save(f"mail-{language}-{charset}.eml", mail.as_bytes(), [f"anywhere: {subject}", text])


def _mbox() -> None:
    path = FILES / "mail-archive.mbox"
    path.unlink(missing_ok=True)
    box = mailbox.mbox(path)
    texts = (
        "The lighthouse needs new lamps.",
        "From next week on the gate closes at nine.",
        "Zażółć gęślą jaźń na molo.",
    )
    for number, text in enumerate(texts, start=1):
        mail = _mail(f"Note {number}")
        mail.set_content(text + "\n", cte="base64" if number == 3 else "8bit")
        box.add(mailbox.mboxMessage(mail))
    box.close()
    lines = [line for number, text in enumerate(texts, start=1) for line in (f"anywhere: Note {number}", text)]
    write_truth("mail-archive.mbox", [_HEADERS, "may: MAILER DAEMON", *lines], _PROGRAM)


def _picture_between() -> None:
    """The layout of Apple Mail: text, picture, text."""
    mail = MIMEMultipart("mixed", policy=compat32)
    mail["From"], mail["To"], mail["Subject"] = "ann@example.org", "omar@example.org", "Damage at the quay"
    mail.attach(MIMEText("The fender was hit on Monday:\n", "plain", "us-ascii"))
    picture = MIMENonMultipart("image", "png", name="fender.png")
    picture.set_payload("iVBORw0KGgo=")
    picture["Content-Transfer-Encoding"] = "base64"
    picture["Content-Disposition"] = 'inline; filename="fender.png"'
    mail.attach(picture)
    mail.attach(MIMEText("The repair costs 1200 euros and takes a week.\n", "plain", "us-ascii"))
    truth = [
        "anywhere: Damage at the quay", "The fender was hit on Monday:", "may: fender png image",
        "The repair costs 1200 euros and takes a week.", "not: iVBORw0KGgo",
    ]  # fmt: skip
    _save("mail-picture-between.eml", mail.as_bytes(), truth)
