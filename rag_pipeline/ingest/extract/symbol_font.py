"""Translate the characters of the font Symbol: Greek letters and mathematical signs, encoded as Latin letters."""

from __future__ import annotations

_RUNS = {
    0x20: " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑",
    0xF1: "〉∫",
}
_SYMBOLS = {start + at: char for start, run in _RUNS.items() for at, char in enumerate(run)}
_PRIVATE = 0xF000
# Check marks, arrows and bullets of the fonts Wingdings.
_DINGBATS = {
    0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x75: "◆", 0x76: "❖", 0x9F: "•", 0xA1: "○", 0xA7: "▪", 0xA8: "□",
    0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒",
    0xFE: "☑", 0x4A: "☺", 0x52: "☒", 0x50: "✓", 0xA3: "☐",
}  # fmt: skip


def symbol(code: int, font: str) -> str:
    """Return the character of a symbol font as Unicode; a bullet for one that has no equivalent there."""
    at = code - _PRIVATE if _PRIVATE <= code <= _PRIVATE + 0xFF else code
    font = font.casefold()
    if "dings" in font or "webdings" in font:
        return _DINGBATS.get(at, "•")
    if font.startswith("symbol"):
        return _SYMBOLS.get(at, "•")
    return chr(code) if 0x20 <= code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else ""
