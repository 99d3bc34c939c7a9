"""The fonts of an RTF document: each decides how the bytes of its text are decoded."""

from __future__ import annotations

from dataclasses import dataclass

from rag_pipeline.ingest.extract.symbol_font import symbol

_SYMBOL_CHARSET = 2
_CHARSETS = {
    77: "mac_roman", 78: "shift_jis", 79: "euc_kr", 80: "gb2312", 81: "big5", 83: "mac_iceland", 85: "mac_greek",
    86: "mac_turkish", 88: "mac_latin2", 89: "mac_cyrillic", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk",
    136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
# Old programs name the script of a font instead.
_SUFFIXES = {" cyr": "cp1251", " ce": "cp1250", " greek": "cp1253", " tur": "cp1254", " baltic": "cp1257",
             " (hebrew)": "cp1255", " (arabic)": "cp1256"}  # fmt: skip


@dataclass(slots=True)
class Font:
    """A font: its name, and the encoding of its text; None stands for the document's encoding."""

    name: str = ""
    codec: str | None = None
    is_symbol: bool = False

    def set_charset(self, number: int) -> None:
        """Take the number of a Windows charset."""
        self.is_symbol = number == _SYMBOL_CHARSET
        self.codec = _CHARSETS.get(number, self.codec)

    def set_name(self, name: str) -> None:
        """Take the name, which may tell the script."""
        self.name = name.strip().rstrip(";")
        self.is_symbol = self.is_symbol or "dings" in self.name.casefold() or self.name.casefold() == "symbol"
        if self.codec is None:
            folded = self.name.casefold()
            self.codec = next((codec for suffix, codec in _SUFFIXES.items() if folded.endswith(suffix)), None)

    def decode(self, data: bytes, default: str) -> str:
        """Return the text of bytes in this font."""
        if self.is_symbol:
            return "".join(symbol(byte, self.name or "Symbol") for byte in data)
        return data.decode(self.codec or default, "replace")

    def translate(self, text: str) -> str:
        """Return text in Unicode; symbol fonts have their characters in the private-use area."""
        if not self.is_symbol:
            return text
        return "".join(symbol(ord(char), self.name) if "\uf000" <= char <= "\uf0ff" else char for char in text)
