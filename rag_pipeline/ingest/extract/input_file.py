"""The file that a reader reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.read_options import ReadOptions

HEAD_BYTES = 1 << 16


@dataclass(slots=True)
class InputFile:
    """An open file, its size in bytes, its name without folders, its limits and options. Its position is arbitrary."""

    stream: BinaryIO
    size: int
    name: str
    limits: ExtractionLimits
    options: ReadOptions = field(default_factory=ReadOptions)
    text: TextIO | None = None
    """The stream opened as text. It is kept because it closes the stream when it is garbage collected."""

    @property
    def extension(self) -> str:
        """The file name's extension, in lower case and without the dot; empty if there is none."""
        stem, dot, extension = self.name.rpartition(".")
        return extension.lower() if dot and stem else ""

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``."""
        self.stream.seek(max(0, offset))
        return self.stream.read(count)
