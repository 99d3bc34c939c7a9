"""The options of embedding models."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Precision(StrEnum):
    """The values of EMBEDDING_PRECISION. ``auto``: int8 for all-MiniLM-L6-v2 on processors that are fast at it."""

    AUTO = "auto"
    FLOAT32 = "float32"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The words before a question and before a passage, which some models were trained with; None: the model's own."""

    question: str | None = None
    passage: str | None = None


NO_PREFIXES = Prefixes()
