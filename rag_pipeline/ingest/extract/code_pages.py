"""Python's names of the code pages of Windows and the Macintosh."""

from __future__ import annotations

import codecs

_ALIASES = {10000: "mac_roman", 10001: "shift_jis", 10006: "mac_greek", 10007: "mac_cyrillic", 10029: "mac_latin2",
            10081: "mac_turkish", 65001: "utf-8",
    1200: "utf-16-le", 708: "cp720", 936: "gbk", 949: "cp949", 950: "cp950",
            1361: "johab"}  # fmt: skip


def code_page(number: int) -> str:
    """Return Python's name of a Windows code page; Windows-1252 for an unknown one."""
    name = _ALIASES.get(number, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
