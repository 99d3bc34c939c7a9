"""Tell what an OLE container holds, by the names in its directory: an Outlook message, an old Office file, others."""

from __future__ import annotations

SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")
OLE_MESSAGE = "an Outlook message"

_LABELS = (
    ("EncryptedPackage", "an encrypted Office file"),
    ("__properties_version1.0", OLE_MESSAGE),
    ("__substg1.0_", OLE_MESSAGE),
    ("WordDocument", "a Word document of the format before 2007 (doc)"),
    ("PowerPoint Document", "a PowerPoint presentation of the format before 2007 (ppt)"),
    ("PP40", "a PowerPoint presentation of the format before 1997 (ppt)"),
    ("Workbook", "an Excel workbook of the format before 2007 (xls)"),
    ("Book", "an Excel workbook of the format before 1997 (xls)"),
    ("VisioDocument", "a Visio drawing"),
    ("HwpSummaryInformation", "a Hangul document (hwp)"),
    ("FileHeader", "a Hangul document (hwp)"),
    ("Quill", "a Publisher document"),
    ("PerfectOffice_MAIN", "a WordPerfect file"),
    ("MatOST", "a Works document"),
    ("Props12", "a Project plan"),
    ("Catalog", "a thumbnail cache"),
)


def ole_label(directory: bytes) -> str:
    """Return the name of the format, from the part of the container with its directory."""
    for name, label in _LABELS:
        # An entry has the whole name, ended by a zero character, unless the name has a number at its end.
        end = "" if name.startswith("__substg") else "\x00"
        if (name + end).encode("utf-16-le") in directory:
            return label
    return "an Office file of the binary formats before 2007 (OLE)"
