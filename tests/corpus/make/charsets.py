"""Texts in many charsets, by iconv, as plain text, pages, XML and mail."""

from __future__ import annotations

import subprocess

from tests.corpus.make.programs import FILES, version, write_truth
from tests.corpus.make.texts import LANGUAGES

_TEXTS = {
    "en": ("CP1252", "UTF-16", "UTF-8"),
    "de": ("ISO-8859-1", "CP1252", "CP850", "UTF-16LE", "UTF-16BE"),
    "fr": ("CP1252", "ISO-8859-15", "MACINTOSH"),
    "cs": ("CP1250", "ISO-8859-2"),
    "pl": ("CP1250", "ISO-8859-2"),
    "hu": ("CP1250", "ISO-8859-2"),
    "tr": ("CP1254", "ISO-8859-9"),
    "lt": ("CP1257", "ISO-8859-13"),
    "el": ("CP1253", "ISO-8859-7"),
    "ru": ("CP1251", "KOI8-R", "CP866", "ISO-8859-5", "UTF-16"),
    "uk": ("CP1251", "KOI8-U"),
    "ar": ("CP1256",),
    "he": ("CP1255",),
    "th": ("CP874",),
    "vi": ("CP1258",),
    "zh": ("GB18030", "GBK", "GB2312"),
    "zh-Hant": ("BIG5",),
    "ja": ("CP932", "EUC-JP", "ISO-2022-JP", "UTF-16LE"),
    "ko": ("EUC-KR", "CP949"),
}
# The label in the file, and the charset that browsers take it for.
_LABELLED = (
    ("fr", "iso-8859-1", "CP1252"),
    ("zh", "gb2312", "GB18030"),
    ("ja", "shift_jis", "CP932"),
    ("ja", "iso-2022-jp", "ISO-2022-JP"),
    ("ru", "koi8-r", "KOI8-R"),
    ("pl", "iso-8859-2", "ISO-8859-2"),
    ("ko", "euc-kr", "CP949"),
    ("tr", "iso-8859-9", "CP1254"),
)
_TITLES = {
    "fr": "Le goûter",
    "zh": "图书馆",
    "ja": "図書館",
    "ru": "Библиотека",
    "pl": "Książki",
    "ko": "도서관",
    "tr": "Kütüphane",
}


def make() -> None:
    """Make all files of this program."""
    program = version("iconv", "--version")
    for language, charsets in _TEXTS.items():
        for charset in charsets:
            paragraphs = [_within(text, charset) for text in LANGUAGES[language]]
            _save(
                "\n\n".join(paragraphs) + "\n", charset, f"text-{language}-{charset.lower()}.txt", paragraphs, program
            )
    _save_damaged(program)
    for language, label, charset in _LABELLED:
        title, texts = _TITLES[language], LANGUAGES[language]
        body = "".join(f"<p>{text}</p>\n" for text in texts)
        page = f'<html><head><meta charset="{label}">\n<title>{title}</title></head><body>\n{body}</body></html>\n'
        lines = [f"may: {title}", *texts]
        _save(page, charset, f"page-{language}-{label}.html", lines, program)
        items = "".join(f"  <note>{text}</note>\n" for text in texts)
        xml = f'<?xml version="1.0" encoding="{label}"?>\n<notes>\n{items}</notes>\n'
        _save(xml, charset, f"notes-{language}-{label}.xml", ["may: notes note", *texts], program)


def _within(text: str, charset: str) -> str:
    """Return the text as people typed it in the charset: with straight quotes where it has no others."""
    for typographic, plain in (("’", "'"), ("“", '"'), ("”", '"'), ("–", "-"), ("œ", "oe")):
        if subprocess.run(
            ["iconv", "-f", "UTF-8", "-t", charset], input=typographic.encode(), capture_output=True
        ).returncode:
            text = text.replace(typographic, plain)
    return text


def _save(text: str, charset: str, name: str, lines: list[str], program: str) -> None:
    command = ["iconv", "-f", "UTF-8", "-t", charset]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    (FILES / name).write_bytes(done.stdout)
    write_truth(name, lines, program)


def _save_damaged(program: str) -> None:
    """Write a text in UTF-8 with a single bad byte, as a cut-off copy has one."""
    paragraphs = list(LANGUAGES["de"])
    text = "\n\n".join(paragraphs * 3).encode() + b"\n\xe4\n"
    (FILES / "text-de-utf8-bad-byte.txt").write_bytes(text)
    write_truth("text-de-utf8-bad-byte.txt", paragraphs * 3, program)
