"""The corpus: files that real programs made, and how much of their text is read, in order."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.lib.text_scores import score
from benchmarks.lib.text_truth import SUFFIX, fold, read_folder
from rag_pipeline.errors import ExtractionError
from rag_pipeline.ingest.extract import ProcessExtractor
from rag_pipeline.ingest.types import ExtractedDocument

FILES = Path(__file__).parent / "files"
TRUTHS = read_folder(FILES)
CHARSETS = sorted(path for path in TRUTHS if path.name.startswith("text-"))


class Floor(NamedTuple):
    """The least recall, precision, order and share of rows that a file of a kind may have."""

    recall: float
    precision: float
    order: float = 1.0
    rows: float = 1.0


FLOORS = {
    ".pdf": Floor(0.97, 0.97, 0.98, 0.75),
    # A table in a cell may come after the row that it is in.
    ".docx": Floor(1.0, 0.98, 0.96),
    ".odt": Floor(1.0, 0.98, 0.96),
    ".rtf": Floor(1.0, 0.98, 0.96),
    ".doc": Floor(0.93, 0.95, 0.98, 0.75),
    ".xlsx": Floor(1.0, 0.97, 0.97),
    ".xls": Floor(0.97, 0.97, 0.97),
    ".ods": Floor(1.0, 0.97, 0.97),
    ".pptx": Floor(1.0, 0.98, 0.96),
    ".odp": Floor(1.0, 0.98, 0.96),
    ".html": Floor(0.98, 0.9, 0.98),
    ".mhtml": Floor(0.98, 0.9, 0.98),
    ".epub": Floor(1.0, 0.97),
    ".eml": Floor(1.0, 0.95),
    ".mbox": Floor(1.0, 0.95),
    ".xml": Floor(1.0, 0.98, 1.0, 0.0),
    ".csv": Floor(1.0, 1.0),
    ".tsv": Floor(1.0, 1.0),
    ".md": Floor(1.0, 0.97),
    ".rst": Floor(1.0, 0.97, 1.0),
    ".ipynb": Floor(1.0, 0.97),
}
# 370 of 394 texts is the aim; some charsets can't be told apart by a few lines.
_CHARSETS_RIGHT = 370 / 394


def _read(extractor: ProcessExtractor, path: Path) -> ExtractedDocument:
    reason = ""
    try:
        return extractor.extract(str(path))
    except ExtractionError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.mark.parametrize("path", sorted(TRUTHS.keys() - set(CHARSETS)), ids=lambda path: path.name)
def test_the_text_of_the_file_is_read(path: Path, extractor: ProcessExtractor) -> None:
    truth = TRUTHS[path]
    document = _read(extractor, path)
    text = "\n".join(section.text for section in document.sections)
    found, floor = score(text, truth), FLOORS[path.suffix]
    folded = fold(text)
    faults = [
        *([f"recall {found.recall:.3f}: {_some(found.missing)} missing"] if found.recall < floor.recall else []),
        *(
            [f"precision {found.precision:.3f}: {_some(found.surplus)} too many"]
            if found.precision < floor.precision
            else []
        ),
        *([f"order {found.order:.3f}"] if found.order < floor.order else []),
        *([f"rows {found.rows:.2f}: {found.split_rows}"] if (found.rows or 1.0) < floor.rows else []),
        *(f"not found: {fact}" for fact in truth.facts if fact not in folded),
        *(f"found: {absent}" for absent in truth.absent if absent in folded),
        *_wrong_places(document, path),
    ]
    if faults:
        pytest.fail("\n".join([f"{path.name}:", *faults]), pytrace=False)


def _wrong_places(document: ExtractedDocument, path: Path) -> list[str]:
    truth = TRUTHS[path]
    locators = [fold(section.locator) for section in document.sections]
    warnings = {warning.type for warning in document.warnings}
    return [
        *(f"no locator: {title}" for title in truth.headings if not any(fold(title) in place for place in locators)),
        *(
            f"not in {locator}: {text}"
            for locator, text in truth.places
            if not any(s.locator.startswith(locator) and text in fold(s.text) for s in document.sections)
        ),
        *(f"no warning {kind}" for kind in truth.warnings if kind not in warnings),
    ]


def test_charsets_are_told_apart(extractor: ProcessExtractor) -> None:
    wrong = []
    for path in CHARSETS:
        try:
            text = "\n".join(section.text for section in extractor.extract(str(path)).sections)
        except ExtractionError as error:
            wrong.append(str(error))
            continue
        found = score(text, TRUTHS[path])
        if (found.recall, found.precision) != (1.0, 1.0):
            wrong.append(f"{path.name}: {_some(found.missing)}")
    if len(wrong) > (1 - _CHARSETS_RIGHT) * len(CHARSETS):
        pytest.fail("\n".join(wrong), pytrace=False)


def _some(words: tuple[str, ...]) -> str:
    return " ".join(words[:20])


def test_each_file_has_a_truth_and_each_truth_a_file() -> None:
    files = {path for path in FILES.iterdir() if not path.name.endswith(SUFFIX)}
    assert files == set(TRUTHS)
    assert len(list(FILES.iterdir())) == 2 * len(files)


def test_the_files_are_small() -> None:
    assert max(path.stat().st_size for path in FILES.iterdir()) < 60_000
    assert sum(path.stat().st_size for path in FILES.iterdir()) < 2_000_000
