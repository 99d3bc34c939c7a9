"""Makes the example documents of Larkfield Instruments, an imaginary maker of weather stations.

    pip install reportlab python-docx openpyxl python-pptx
    python examples/make_documents.py [FOLDER]

With the same versions of the libraries the files are the same byte for byte. Their content is invented.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import docx  # type: ignore[import-not-found, import-untyped, unused-ignore]
import openpyxl  # type: ignore[import-not-found, import-untyped, unused-ignore]
import pptx  # type: ignore[import-not-found, import-untyped, unused-ignore]
from reportlab.lib.pagesizes import A4  # type: ignore[import-not-found, import-untyped, unused-ignore]
from reportlab.lib.pdfencrypt import StandardEncryption  # type: ignore[import-not-found, import-untyped, unused-ignore]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-not-found, import-untyped, unused-ignore]

FIXED_TIME = (2025, 1, 6, 9, 0, 0)

WELCOME = """\
Welcome to Larkfield Instruments
================================

Larkfield Instruments was founded in 1998 by Edda Holm and Tomas Reyes in a boathouse in Kirkwall. Today 84 people build
weather stations for farms, harbours and schools. Our head office is at 12 Harbour Street, Kirkwall; the workshop is in
the old rope works next door, and the calibration laboratory is on the second floor, behind the glass door.

Your first week
---------------
Monday    Collect your badge and laptop from reception at 09:00. Ask for Priya Nair, who runs the front desk.
Tuesday   Safety tour of the workshop. Closed shoes are required; ear protection hangs by the entrance.
Wednesday Lunch with your buddy. Lunch on Wednesdays is paid for by the company.
Thursday  Introduction to the calibration laboratory with Dr. Amara Osei.
Friday    Talk with your manager about the first ninety days.

Who to ask
----------
Lost badge or locker key: reception, extension 100.
Computer trouble: the help desk, extension 222, open from 08:00 to 18:00.
Pay slips and contracts: Hanna Lindqvist in People and Culture, extension 310.
Fire or accident: extension 999 from any telephone in the building.
"""

LEAVE = """\
# Leave policy

Applies to everyone employed by Larkfield Instruments, part-timers in proportion. Last changed on 6 January 2025.

## Annual leave

Every full-time employee gets **27 days of paid annual leave** a year, and public holidays on top. After five years of
service it is 30 days. Leave is requested in the staff portal at least two weeks ahead; your manager answers within
three working days.

Up to five days that are left over may be carried into the next year. They lapse on 31 March.

## Sick leave

Tell your manager by 10:00 on the first day. From the fourth day of sickness a doctor's note is needed. Sick pay is the
full salary for the first twelve weeks, and half of it for the twelve weeks after that.

## Parental leave

Both parents get 20 weeks of leave at full pay, which may be taken in up to three parts before the child's second
birthday. Adoption counts in the same way.

## Other leave

| Occasion | Days |
|---|---|
| Moving house | 1 |
| Own wedding | 2 |
| Death of a close relative | 5 |
| Volunteering with the lifeboat | 3 |

Unpaid leave of up to six months is possible after two years. Apply to Hanna Lindqvist.
"""

SECURITY = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Information security rules</title>
<style>body { font-family: sans-serif; max-width: 40em }</style>
<script>console.log("nothing of this is text")</script></head>
<body>
<h1>Information security rules</h1>
<p>These rules protect our customers&#8217; data. Questions go to the security officer, Jonas Bek.</p>
<h2>Passwords</h2>
<p>Passwords have at least <b>14 characters</b> and are kept in the company's password manager. Never reuse one.
Two-factor authentication with a hardware key is required for e-mail and for the code repository.</p>
<h2>Lost devices</h2>
<p>Report a lost or stolen laptop or telephone within <em>one hour</em> to the help desk, extension 222, at any time of
day. The device is then wiped from afar.</p>
<h2>Visitors</h2>
<p>Visitors sign in at reception and wear a yellow badge. They are never left alone in the laboratory.</p>
<h2>Classification</h2>
<table><tr><th>Class</th><th>Example</th><th>Where it may be stored</th></tr>
<tr><td>Public</td><td>Brochures</td><td>Anywhere</td></tr>
<tr><td>Internal</td><td>Meeting notes</td><td>Company laptops</td></tr>
<tr><td>Secret</td><td>Customer contracts</td><td>The encrypted share only</td></tr></table>
</body></html>
"""

MUNICH = """\
# Büro München

Unser Büro in der Lindwurmstraße 42 ist montags bis freitags von 7:30 bis 19:00 Uhr geöffnet. Ansprechpartnerin ist
Zoë Grünwald, Durchwahl 89.

## Parken und Fahrräder

Es gibt vier Parkplätze im Hof; sie sind für Gäste reserviert. Fahrräder dürfen im Keller stehen, der Schlüssel hängt
in der Küche. Für ein Dienstrad zahlt die Firma 40 € im Monat dazu.

## Küche

Die Spülmaschine wird abends von der letzten Person angestellt. Käse aus dem Kühlschrank gehört allen – außer er ist
beschriftet. Jeden ersten Donnerstag gibt es Brezen und Weißwürste, für Vegetarier Obazda.

## Σημείωση – 注意 – Внимание

Ein Schild an der Tür warnt auf Griechisch, Japanisch und Russisch: «Προσοχή στο σκαλοπάτι», 「足元に注意」,
«Осторожно, ступенька».
"""

REMOTE = r"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Helvetica;}}{\info{\author People and Culture}}
\f0\fs36\b Working from home\b0\fs22\par
You may work from home on up to three days a week, after your first month. Agree the days with your team; Wednesday is
 the day on which everybody comes to the office.\par
\par
\b Equipment\b0\par
The company lends you a screen, a chair and a headset, and pays 30 \'80 a month towards heating and internet.\par
\par
\b Abroad\b0\par
Working from another country is possible for up to 25 days a year within the European Union. Ask People and Culture
 \endash  because of taxes \endash  four weeks before you go.\par
}
"""

PRICES = """\
Article,Name,Price EUR,Delivery days,Warranty years
AU-100,Aurora weather station,1490.00,10,5
AU-110,Aurora weather station with solar panel,1780.00,14,5
RG-020,Tipping-bucket rain gauge,189.00,3,2
AN-007,Ultrasonic anemometer,640.00,7,3
HY-015,Humidity and temperature probe,98.50,3,2
PY-030,Pyranometer class B,415.00,21,3
MA-002,"Mast, 2 m, stainless steel",120.00,5,10
MA-006,"Mast, 6 m, with guy ropes",340.00,8,10
BA-012,Spare battery 12 V 7 Ah,39.90,2,1
SV-001,Calibration with certificate,210.00,15,1
"""

MAIL = """\
From: Amara Osei <amara.osei@larkfield.example>
To: Workshop <workshop@larkfield.example>
Subject: Calibration of the wind tunnel on 14 May
Date: Mon, 5 May 2025 08:12:00 +0100
MIME-Version: 1.0
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: quoted-printable

Dear all,

the wind tunnel will be calibrated on Wednesday 14 May and is closed from 08:00 to 15:30. Anemom=
eters that must ship that week have to be on the shelf by Tuesday noon.

The reference this time is the pitot tube with the serial number PT-2207, borrowed from the univ=
ersity in Troms=C3=B8. Please don=E2=80=99t touch it.

Amara
"""

MANUAL: Sequence[tuple[str, Sequence[str]]] = (
    (
        "Aurora weather station: user manual",
        (
            "The Aurora measures wind, rain, temperature, humidity and air pressure, and sends",
            "its readings every ten minutes by LoRaWAN or by mobile network.",
            "",
            "In the box: the station, a mast adapter, a solar panel (AU-110 only), a 12 V",
            "battery, four bolts M8, and this manual. If anything is missing, call support",
            "at extension 400 or write to support@larkfield.example.",
        ),
    ),
    (
        "Mounting",
        (
            "Choose a place at least ten metres from buildings and trees. Mount the wind",
            "sensor two metres above the ground for farms, ten metres for airfields.",
            "",
            "Turn the arrow on the housing to true north, not magnetic north. Tighten the",
            "four bolts crosswise with 12 newton metres.",
            "",
            "Never mount the station during a thunderstorm. Ground the mast with a copper",
            "wire of at least 16 square millimetres.",
        ),
    ),
    (
        "First start",
        (
            "Connect the red battery lead first, then the black one. The light blinks green",
            "three times. After about two minutes it stays green: the station has found its",
            "network. If it blinks red, see the chapter on faults.",
            "",
            "To pair the station with your account, hold the button for five seconds and",
            "enter the eight digits from the label in the app.",
        ),
    ),
    (
        "Care",
        (
            "Clean the rain gauge every three months: lift the funnel, remove leaves and",
            "spiders, rinse with water. Do not use soap, it changes how drops run off.",
            "",
            "Replace the battery every four years. Have the anemometer calibrated every two",
            "years; order article SV-001.",
        ),
    ),
    (
        "Faults",
        (
            "E01  No network. Move the antenna, or check that the SIM card is not locked.",
            "E02  Battery low. Clean the solar panel; in winter tilt it to 60 degrees.",
            "E03  Wind sensor blocked. Look for ice. The heater works above -25 degrees.",
            "E04  Rain gauge stuck. Clean the bucket and its bearing.",
            "E07  Internal clock lost. Keep the station connected for one hour.",
            "",
            "To reset the station to the state of delivery, hold the button for twenty",
            "seconds until the light turns blue. Stored readings are kept.",
        ),
    ),
)

SALES: dict[str, list[tuple[str | int, ...]]] = {
    "Sales 2025": [
        ("Region", "Quarter 1", "Quarter 2", "Quarter 3", "Quarter 4"),
        ("Scotland", 182_000, 211_500, 240_250, 198_000),
        ("Norway", 95_400, 120_000, 133_750, 101_300),
        ("Germany", 143_000, 150_900, 171_200, 166_600),
        ("Japan", 38_500, 41_000, 64_300, 70_100),
    ],
    "Budget 2026": [
        ("Department", "Budget EUR", "Head"),
        ("Workshop", 640_000, "Tomas Reyes"),
        ("Calibration laboratory", 310_000, "Amara Osei"),
        ("Software", 520_000, "Mei Tanaka"),
        ("Marketing", 145_000, "Luis Ferreira"),
        ("Training", 48_000, "Hanna Lindqvist"),
    ],
}

SLIDES = (
    ("Aurora Mini: launch plan", "A weather station for schools\nLuis Ferreira, Marketing", ""),
    ("Why a small one", "Schools asked for a station under 400 euros\nNo mast: it stands on a window sill", ""),
    (
        "Dates",
        "Prototype: 3 March 2026\nPilot in twelve schools: 1 June 2026\nLaunch at the Oslo fair: 15 September 2026",
        "Say that the pilot schools keep their stations.",
    ),
    ("Risks", "The display may be delivered eight weeks late\nSecond source: a supplier in Tallinn", ""),
)


def make_pdf(pages: Sequence[tuple[str, Sequence[str]]], *, password: str = "") -> bytes:
    """Return a PDF with one page for each title and its lines."""
    data = io.BytesIO()
    lock = StandardEncryption(password, strength=128) if password else None
    canvas = Canvas(data, pagesize=A4, invariant=1, encrypt=lock)
    for number, (title, lines) in enumerate(pages, start=1):
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(72, 770, title)
        canvas.setFont("Helvetica", 11)
        for row, line in enumerate(lines):
            canvas.drawString(72, 735 - 18 * row, line)
        canvas.drawString(290, 40, str(number))
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def make_docx() -> bytes:
    """Return the travel policy."""
    document = docx.Document()
    document.add_heading("Travel and expenses", 0)
    document.add_heading("Booking", 1)
    document.add_paragraph(
        "Trains are booked through the travel desk. Flights are allowed where the train takes more than six hours. "
        "Everybody travels second class, directors too."
    )
    document.add_heading("Daily allowance", 1)
    document.add_paragraph("For meals on a business trip the company pays a daily allowance without receipts:")
    table = document.add_table(rows=1, cols=2)
    for cell, text in zip(table.rows[0].cells, ("Country", "Allowance per day"), strict=True):
        cell.text = text
    for row in (("United Kingdom", "32 EUR"), ("Norway", "48 EUR"), ("Germany", "28 EUR"), ("Japan", "45 EUR")):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_heading("Hotels", 1)
    document.add_paragraph("Hotels cost at most 140 EUR a night, breakfast included; 190 EUR in Oslo and Tokyo.")
    document.add_heading("Claiming expenses", 1)
    document.add_paragraph(
        "Upload receipts to the staff portal within 30 days of the trip. What is claimed later than 60 days after it "
        "is not paid. Taxis need a reason in writing. Own cars are paid with 0.38 EUR per kilometre."
    )
    data = io.BytesIO()
    document.save(data)
    return with_fixed_times(data.getvalue())


def make_xlsx() -> bytes:
    """Return the sales and budget workbook."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in SALES.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    workbook.save(data)
    return with_fixed_times(data.getvalue())


def make_pptx() -> bytes:
    """Return the launch plan."""
    presentation = pptx.Presentation()
    for title, body, notes in SLIDES:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    data = io.BytesIO()
    presentation.save(data)
    return with_fixed_times(data.getvalue())


def with_fixed_times(data: bytes) -> bytes:
    """Return an Office file with fixed times in place of the current ones, so that it is reproducible."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2025-01-06T09:00:00Z", content)
            new.writestr(zipfile.ZipInfo(entry.filename, FIXED_TIME), content, zipfile.ZIP_DEFLATED)
    return result.getvalue()


def make_png(width: int = 64, height: int = 64) -> bytes:
    """Return an image of a sun."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            inside = (x - width // 2) ** 2 + (y - height // 2) ** 2 < (width // 3) ** 2
            rows += bytes((250, 190, 40) if inside else (40, 110, 190))

    def block(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + block(b"IHDR", header)
        + block(b"IDAT", zlib.compress(bytes(rows), 9))
        + block(b"IEND", b"")
    )


def make_documents() -> dict[str, bytes]:
    """Return the content of the files by path."""
    minutes = [("Minutes of the board, 12 December 2024", ["Confidential. Only with the password."])]
    travel = make_docx()
    return {
        "welcome.txt": WELCOME.encode(),
        "wind-tunnel.eml": MAIL.encode(),
        "board-minutes (locked).pdf": make_pdf(minutes, password="larkfield"),
        "policies/leave.md": LEAVE.encode(),
        "policies/travel-expenses.docx": travel,
        "policies/security.html": SECURITY.encode(),
        "policies/working-from-home.rtf": REMOTE.encode("ascii"),
        "policies/Büro München.md": MUNICH.encode(),
        "products/aurora-manual.pdf": make_pdf(MANUAL),
        "products/price-list.csv": PRICES.encode(),
        "products/sales-and-budget.xlsx": make_xlsx(),
        "products/launch-plan.pptx": make_pptx(),
        "products/old-manual (damaged).docx": travel[: len(travel) // 2],
        "products/logo.png": make_png(),
    }


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "documents"
    for name, content in make_documents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{len(content):>8,}  {path}")


if __name__ == "__main__":
    main()
