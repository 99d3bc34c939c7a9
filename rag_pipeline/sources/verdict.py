"""The verdict on a stored file's text, and its form in the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from typing import Any, NamedTuple

from rag_pipeline.ingest.types import ExtractedDocument, TextQuality, TextWarning


class Verdict(NamedTuple):
    """The warnings and the quality of a file's text."""

    warnings: tuple[TextWarning, ...]
    quality: TextQuality

    @classmethod
    def of(cls, document: ExtractedDocument) -> Verdict:
        """Return the verdict that the extraction came to."""
        return cls(document.warnings, document.quality)

    @classmethod
    def parse(cls, text: str | None) -> Verdict | None:
        """Return the verdict from a row of the ledger; None if it has none, as rows of older versions."""
        if text is None:
            return None
        try:
            warnings, quality = json.loads(text)
            return cls(tuple(TextWarning(*warning) for warning in warnings), TextQuality(*quality))
        except (TypeError, ValueError):
            return None  # written by another version: the file is shown without a verdict

    def to_text(self) -> str:
        """Return the verdict for a row of the ledger: short, because the ledger has one for each file."""
        values = [[astuple(warning) for warning in self.warnings], astuple(self.quality)]
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    def fields(self) -> dict[str, Any]:
        """Return the arguments of ``complete_file``."""
        return {"warnings": [asdict(warning) for warning in self.warnings], "quality": asdict(self.quality)}
