"""Translate the names of charsets that files declare, as browsers do: ``iso-8859-1`` means Windows-1252."""

from __future__ import annotations

import codecs

# Charsets that browsers refuse, though files have them.
_REFUSED = {"iso-2022-kr": "iso2022_kr", "csiso2022kr": "iso2022_kr", "hz-gb-2312": "hz"}
# Codecs that read a superset of what the label promises.
_SUPERSETS = {
    "iso-2022-jp": "iso2022_jp_ext",
    "gbk": "gb18030",
    "ms949": "cp949",
    "uhc": "cp949",
    "windows-31j": "cp932",
    "cp932": "cp932",
    "ms932": "cp932",
}
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw_unicode_escape", "unicode_escape", "utf-7"})
_ASCII = b"a b<c>&d;=\"'/"  # without the two that Japanese and Korean charsets replace


def codec_for_label(label: str) -> str | None:
    """Return Python's codec for a declared charset; None if it is unknown, or can't be that of readable bytes.

    UTF-16 and UTF-7 are None too: a declaration that can be read as ASCII is not in UTF-16, and UTF-7 hides text.
    """
    from webencodings import LABELS, PYTHON_NAMES  # after confinement, as all libraries

    label = label.strip(" \t\r\n\f'\"").lower()
    if label.startswith("cp-"):
        label = label.replace("-", "", 1)
    if label in _REFUSED:
        return _REFUSED[label]
    name = LABELS.get(label, label)
    return _text_codec(_SUPERSETS.get(name) or PYTHON_NAMES.get(name, name))


def _text_codec(name: str) -> str | None:
    """Return Python's own name of a codec if it reads ASCII as such."""
    try:
        info = codecs.lookup(name)
        if not info._is_text_encoding or info.name in _NOT_CHARSETS or _ASCII.decode(name) != _ASCII.decode("ascii"):
            return None
    except (LookupError, ValueError):
        return None
    return info.name
