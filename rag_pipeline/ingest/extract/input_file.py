"""The file that a reader reads from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, TextIO

from rag_pipeline.ingest.extract.limits import ExtractionLimits

HEAD_BYTES = 1 << 16


@dataclass(slots=True)
class InputFile:
    """An open file at any position, its size in bytes, its name without folders, and the bounds to keep."""

    stream: BinaryIO
    size: int
    name: str
    limits: ExtractionLimits
    text: TextIO | None = None
    """The stream as text, once it is opened so: kept, since it would close the stream when it goes."""

    @property
    def extension(self) -> str:
        """The end of the name, in lower case, without the dot; empty if there is none."""
        stem, dot, extension = self.name.rpartition(".")
        return extension.lower() if dot and stem else ""

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``."""
        self.stream.seek(max(0, offset))
        return self.stream.read(count)
