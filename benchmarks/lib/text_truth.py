"""The truth of a file: its words in reading order, and what must or must not be in its text.

``NAME.truth.txt`` stands beside the file NAME. Each of its lines is text that a person sees, in reading order, unless
it begins with one of these words:

| line | meaning |
|---|---|
| ``# …`` | a remark |
| ``heading: …`` | text that is also a heading, for the locators |
| ``head: a \\| b`` | the labels of a table's columns; readers may repeat them in each row |
| ``row: a \\| b`` | the cells of a table's row that must be on one line, in this order; empty ones are left out |
| ``anywhere: …`` | text that must be there, in no certain order, such as a text box |
| ``may: …`` | text that may be there any number of times, such as a page number |
| ``fact: …`` | text that must be found as written, white space folded |
| ``not: …`` | text that must not be found |
| ``place: page 2 \\| …`` | text that must be in a section with this locator |
| ``warning: …`` | the type of a warning that the file must have |
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

SUFFIX = ".truth.txt"
_KEYS = ("heading", "head", "row", "anywhere", "may", "fact", "not", "place", "warning")


@dataclass(slots=True)
class Truth:
    """The content of a truth file; ``ordered`` has the words in reading order, without those of ``heads``."""

    ordered: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    anywhere: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)
    rows: list[list[list[str]]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def required(self) -> list[str]:
        """All words that must be in the text."""
        return self.ordered + self.heads + self.anywhere


def parse_truth(text: str) -> Truth:
    """Return the truth that the lines describe."""
    truth = Truth()
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        if line.startswith("#"):
            continue
        if colon and key in _KEYS:
            _add(truth, key, rest.strip())
        else:
            truth.ordered += words(line)
    return truth


def _add(truth: Truth, key: str, rest: str) -> None:
    match key:
        case "heading":
            truth.headings.append(rest)
            truth.ordered += words(rest)
        case "head":
            truth.heads += words(rest)
        case "row":
            cells = [words(cell) for cell in rest.split(" | ")]
            truth.rows.append([cell for cell in cells if cell])
            truth.ordered += words(rest)
        case "anywhere":
            truth.anywhere += words(rest)
        case "may":
            truth.optional += words(rest)
        case "fact":
            truth.facts.append(fold(rest))
        case "not":
            truth.absent.append(fold(rest))
        case "place":
            locator, _, found = rest.partition(" | ")
            truth.places.append((locator, fold(found)))
        case "warning":
            truth.warnings.append(rest)


def read_folder(folder: Path) -> dict[Path, Truth]:
    """Return the files below the folder that have a truth, sorted by path."""
    truths = sorted(folder.rglob(f"*{SUFFIX}"))
    pairs = ((path.with_name(path.name.removesuffix(SUFFIX)), path) for path in truths)
    return {file: parse_truth(path.read_text(encoding="utf-8")) for file, path in pairs if file.is_file()}


def fold(text: str) -> str:
    """Return the text in NFC, with each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def words(text: str) -> list[str]:
    """Return the words: runs of letters and marks, and runs of digits. Scripts without spaces count by character.

    Letters and digits are split, because the number of a footnote stands close to its word.
    """
    found: list[str] = []
    word = ""
    for character in unicodedata.normalize("NFC", text):
        # A syllable of Thai and its marks are one word, however lines are broken.
        if _is_spaceless(character):
            if unicodedata.category(character)[0] == "M" and word:
                word += character
            else:
                found += [word] if word else []
                word = character
        elif unicodedata.category(character)[0] in ("LMN" if word else "LN"):
            if word and (_is_spaceless(word[0]) or word[0].isdecimal() != character.isdecimal()):
                found.append(word)
                word = ""
            word += character
        elif word:
            found.append(word)
            word = ""
    return [*found, word] if word else found


def _is_spaceless(character: str) -> bool:
    code = ord(character)
    return 0x0E00 <= code <= 0x0E7F or 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3
