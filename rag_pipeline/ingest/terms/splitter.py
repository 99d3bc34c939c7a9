"""Splits a text into words and identifiers, and each identifier into its parts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

MAX_TERM_CHARACTERS = 64
"""Longer words are cut, and longer identifiers are found by their parts only."""
_MAX_PARTS = 12

# Scripts without spaces between words, and Hangul, whose endings are written together with the word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
_UNSPACED += "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
# Scripts in which one character can be a word.
_ONE_CHARACTER_WORD = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")
# Combining marks such as vowel signs, which Python's \w does not match.
_MARKS = "".join(chr(c) for c in range(0x300, 0x2000) if unicodedata.category(chr(c)).startswith("M"))
_LETTER = rf"(?![{_UNSPACED}])[^\W_]"
_ATOM = rf"{_LETTER}(?:{_LETTER}|[{_MARKS}])*+"
# Possessive, so that the time is linear in the length of the text.
_RUN = re.compile(rf"([{_UNSPACED}]+)|{_ATOM}(?:(?:_++|[-.@])(?={_LETTER}){_ATOM})*+(?:(?:\+\+|\#)(?!\w))?")
_CONNECTOR = re.compile(r"[-_.@]+")
_GROUPED_NUMBER = re.compile(r"(?<![\w,])[0-9]{1,3}(?:,[0-9]{3})++(?![,\w])")
_ASCII_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_VERSION = re.compile(r"[vV][0-9]")
_OTHER_PART = re.compile(r"[0-9]+|[^0-9]+")


class Word(NamedTuple):
    """A word as it is written, or an identifier such as ``getUserName``, ``snake_case`` or ``v2.3.1``.

    ``parts`` are the words in an identifier; a plain word has none. ``joined`` are neighbouring words of it, written
    together: ``getUserName`` has ``UserName``, and ``e-mail`` has ``email``. A pair of neighbours in a script without
    spaces between words is a word too; ``is_pair`` tells them apart, and ``characters`` are those that can be words.
    """

    text: str
    parts: tuple[str, ...] = ()
    is_pair: bool = False
    characters: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


def split(text: str) -> Iterator[Word]:
    """Yield the words of a composed text, see :func:`~rag_pipeline.ingest.terms.folding.compose`."""
    if "," in text:
        text = _GROUPED_NUMBER.sub(lambda number: number[0].replace(",", ""), text)
    for match in _RUN.finditer(text):
        if match[1] is not None:
            yield from _pairs(match[1])
        else:
            yield from _words(match[0])


def _pairs(run: str) -> Iterator[Word]:
    if len(run) == 1:
        yield Word(run, is_pair=True)
        return
    for at in range(len(run) - 1):
        new = run[at : at + 2] if at == 0 else run[at + 1]
        yield Word(run[at : at + 2], is_pair=True, characters=tuple(_ONE_CHARACTER_WORD.findall(new)))


def _words(run: str) -> Iterator[Word]:
    atoms = _CONNECTOR.split(run.rstrip("+#"))
    parts = [part for atom in atoms for part in _parts(atom)]
    if run == atoms[0] and not parts:
        yield Word(run[:MAX_TERM_CHARACTERS])
    elif len(run) > MAX_TERM_CHARACTERS or len(parts) > _MAX_PARTS:
        for atom in atoms:
            yield Word(atom[:MAX_TERM_CHARACTERS])
    else:
        inner = [*(atoms if atoms != [run] else ()), *parts]
        if _VERSION.match(run):
            inner.append(run[1:])
        yield Word(run, tuple(dict.fromkeys(part for part in inner if part != run)), joined=_joined(run, atoms))


def _joined(run: str, atoms: list[str]) -> tuple[str, ...]:
    """Return each pair of neighbouring words, and all of them, written together; none in addresses and versions."""
    if {".", "@"} & set(run):
        return ()
    words = [part for atom in atoms for part in _parts(atom) or [atom]]
    joined = [one + other for one, other in pairwise(words) if one.isalpha() and other.isalpha()]
    if len(words) > 2 and all(map(str.isalpha, words)):
        joined.append("".join(words))
    return tuple(dict.fromkeys(word for word in joined if word != run))


def _parts(atom: str) -> list[str]:
    """Return the parts of ``camelCase`` and ``v2``; none for a plain word."""
    parts: list[str] = (_ASCII_PART if atom.isascii() else _OTHER_PART).findall(atom)
    if len(parts) < 2:
        return []
    return [part for part in parts if len(part) > 1 or part.isdecimal()]
