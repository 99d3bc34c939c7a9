"""Every error the package raises on purpose, and the exit codes of its commands.

RagPipelineError
├── ConfigurationError (ValueError)      a setting or argument of the user's is wrong
├── PortInUseError (OSError)             a port that was asked for is taken
├── ServiceError (RuntimeError)          a part of the service did not start
├── ExtractionError (ValueError)         no text could be had from a file
│   ├── UnsupportedFileTypeError         no reader for this type: the file is skipped
│   ├── EmptyFileError                   nothing in it: the file is skipped
│   ├── EncryptedFileError               a password is needed
│   ├── CorruptFileError                 the bytes are not what the type promises
│   └── ExtractionLimitError             over the bound for time, memory, size or output
├── EmbeddingError (RuntimeError)        vectors could not be computed
├── StoreError (RuntimeError)            the vector store could not be read or written
└── StateError (RuntimeError)            the state folder is in use, damaged or of a newer version

Each message is one sentence that names the thing. ``retryable`` says whether the same call can succeed later with
nothing changed by the user; it is what a failed file shows as ``error.retryable``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the commands exit with."""

    OK = 0
    FILES_FAILED = 1
    USAGE = 2
    PORT_IN_USE = 3
    SERVICE = 4
    STATE = 5
    STORE = 6
    EMBEDDING = 7
    INTERRUPTED = 130


class RagPipelineError(Exception):
    """Root of the package's errors."""

    exit_code: ClassVar[ExitCode] = ExitCode.SERVICE
    retryable: bool = False


class ConfigurationError(RagPipelineError, ValueError):
    """A setting or argument has a value that can't be used; the message names key, value and what was expected."""

    exit_code = ExitCode.USAGE


class PortInUseError(RagPipelineError, OSError):
    """A port that was asked for is taken, or may not be bound."""

    exit_code = ExitCode.PORT_IN_USE


class ServiceError(RagPipelineError, RuntimeError):
    """A part of the service did not start or did not stop."""


class ExtractionError(RagPipelineError, ValueError):
    """No text could be had from a file."""


class UnsupportedFileTypeError(ExtractionError):
    """There is no reader for this type of file."""


class EmptyFileError(ExtractionError):
    """The file has no bytes, or no text."""


class EncryptedFileError(ExtractionError):
    """The file can be opened with a password only."""


class CorruptFileError(ExtractionError):
    """The bytes of the file are not what its type promises."""


class ExtractionLimitError(ExtractionError):
    """Reading the file went over the bound for time, memory, size or output."""


class EmbeddingError(RagPipelineError, RuntimeError):
    """Vectors could not be computed, or the embedding model could not be loaded."""

    exit_code = ExitCode.EMBEDDING


class StoreError(RagPipelineError, RuntimeError):
    """The vector store could not be opened, read or written."""

    exit_code = ExitCode.STORE


class StateError(RagPipelineError, RuntimeError):
    """The state folder is in use by another process, damaged, or of a newer version."""

    exit_code = ExitCode.STATE
