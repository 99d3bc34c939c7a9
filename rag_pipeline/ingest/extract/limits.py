"""Limits on the resources that reading one file may use."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rag_pipeline.errors import ConfigurationError

KIB = 1 << 10
MIB = 1 << 20
# A worker with the lowest priority on a busy machine may get a tenth of a processor.
_WALL_FACTOR, _WALL_SECONDS = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """Limits for one file; a file over a limit fails with :class:`~rag_pipeline.errors.ExtractionLimitError`.

    When the time or the memory runs out, the text read so far is kept, if there is any.

    time_seconds: CPU time of the worker process, so a busy machine does not matter; the kernel ends the worker.
    memory_bytes: address space of the worker process (an idle one takes about 50 MB).
    input_bytes: size of the file.
    text_bytes: size of the extracted text in UTF-8.
    unpacked_bytes: unpacked size of all members of a zip-based format (Office, OpenDocument, EPUB) together.
    archive_entries: number of members of a zip-based format.
    expansion_ratio: ratio of unpacked to packed size of a member, checked above 16 MiB.
    files_per_worker: files after which a worker is replaced, so that leaks of libraries don't add up.
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
        """Refuse limits that no file could meet."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ConfigurationError(f"{field.name}={value!r}: expected a number above 0")

    @property
    def wall_seconds(self) -> float:
        """The time after which a worker counts as stuck, such as on a dead network mount, where it uses no CPU time."""
        return _WALL_FACTOR * self.time_seconds + _WALL_SECONDS
