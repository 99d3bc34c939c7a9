"""The bounds that reading one file has to stay within."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rag_pipeline.errors import ConfigurationError

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """What one file may cost; a file over a bound fails with :class:`~rag_pipeline.errors.ExtractionLimitError`.

    time_seconds: wall clock for one file, and processor time as well; the worker is killed when it is up.
    memory_bytes: address space of the worker process (an idle one takes about 50 MB).
    input_bytes: size of the file.
    text_bytes: text that comes out, in UTF-8.
    unpacked_bytes: what is unpacked from an archive format (Office, OpenDocument, EPUB), all parts together.
    archive_entries: files inside an archive format.
    expansion_ratio: unpacked to packed size of a part, once the part is over 16 MiB.
    files_per_worker: files after which a worker is replaced, so that what libraries leak doesn't add up.
    """

    time_seconds: float = 120.0
    memory_bytes: int = 1024 * MIB
    input_bytes: int = 1024 * MIB
    text_bytes: int = 50 * MIB
    unpacked_bytes: int = 512 * MIB
    archive_entries: int = 10_000
    expansion_ratio: int = 200
    files_per_worker: int = 200

    def __post_init__(self) -> None:
        """Refuse bounds that would let nothing through."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ConfigurationError(f"{field.name}={value!r}: expected a number above 0")
