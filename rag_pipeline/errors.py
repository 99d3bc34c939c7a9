"""Every error the package raises on purpose, and the exit codes of its commands.

    RagPipelineError
    ├── ConfigurationError (ValueError)      a setting or argument has a bad value
    ├── PortInUseError (OSError)             a port is taken
    ├── ServiceError (RuntimeError)          a part of the service did not start or stop
    ├── ExtractionError (ValueError)         no text could be extracted from a file
    │   ├── UnsupportedFileTypeError         no reader for this type: the file is skipped
    │   ├── EmptyFileError                   no bytes, or no text: the file is skipped
    │   ├── EncryptedFileError               a password is needed
    │   ├── CorruptFileError                 the bytes do not match the type
    │   ├── UnreadableTextError              too much of the text is garbage
    │   ├── ExtractionLimitError             over the limit for time, memory, size or output
    │   └── ExtractorUnavailableError        the extractor process could not be started
    ├── EmbeddingError (RuntimeError)        vectors could not be computed
    │   └── TextRefusedError                 the endpoint refuses this text, but not others
    ├── StoreError (RuntimeError)            the vector store could not be read or written
    ├── SearchUnavailableError (RuntimeError)  documents can't be searched now
    ├── ResourceError (RuntimeError)         this machine is short of memory, threads, descriptors or disk space
    ├── StateError (RuntimeError)            the state folder is in use, damaged or of a newer version
    ├── JournalError (RuntimeError)          the journal could not be opened, read or written
    │   └── JournalBusyError                 too many searches are running
    ├── AccessDeniedError (PermissionError)  the service refused the client's token or namespace
    ├── UnreachableError (ConnectionError)   the service does not answer
    ├── SlowConsumerError (RuntimeError)     a reader of events fell behind
    ├── ClientClosedError (RuntimeError)     the client is closed
    ├── WaitTimeoutError (TimeoutError)      the awaited event did not come in time
    ├── DeletionsHeldError (RuntimeError)    too many files are gone at once: their texts are kept
    ├── ControlError (ValueError)            a pipeline can't do what it was asked; in rag_pipeline.status.control
    └── DriveError (RuntimeError)            Google Drive; its tree is in rag_pipeline.sources.google_drive.errors

Each message is one sentence that names the cause. ``retryable`` says whether the same call can succeed later without a
change by the user. A failed file shows it as ``error.retryable``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the commands."""

    OK = 0
    FILES_FAILED = 1
    USAGE = 2
    PORT_IN_USE = 3
    SERVICE = 4
    STATE = 5
    STORE = 6
    EMBEDDING = 7
    OUTPUT = 8
    ACCESS = 9
    UNREACHABLE = 10
    REFUSED = 11
    DELETIONS_HELD = 12
    DISAGREEMENT = 13
    TIMEOUT = 124
    INTERRUPTED = 130


class RagPipelineError(Exception):
    """Root of the package's errors."""

    exit_code: ClassVar[ExitCode] = ExitCode.SERVICE
    retryable: bool = False


class ConfigurationError(RagPipelineError, ValueError):
    """A setting or argument has a bad value; the message names key, value and what was expected."""

    exit_code = ExitCode.USAGE


class PortInUseError(RagPipelineError, OSError):
    """A port is taken, or may not be bound."""

    exit_code = ExitCode.PORT_IN_USE


class ServiceError(RagPipelineError, RuntimeError):
    """A part of the service did not start or did not stop."""


class ExtractionError(RagPipelineError, ValueError):
    """No text could be extracted from a file.

    ``of_content`` is True if the file's own content is the reason. Only then is its former text wrong.
    """

    of_content: bool = False


class UnsupportedFileTypeError(ExtractionError):
    """No reader supports this type of file."""

    of_content = True


class EmptyFileError(ExtractionError):
    """The file has no bytes, or no text."""

    of_content = True


class EncryptedFileError(ExtractionError):
    """The file needs a password."""

    of_content = True


class CorruptFileError(ExtractionError):
    """The bytes of the file do not match its type."""

    of_content = True


class UnreadableTextError(ExtractionError):
    """Too much of the text is garbage, such as letters of a font without a Unicode map."""

    of_content = True


class ExtractionLimitError(ExtractionError):
    """The file exceeded the limit for time, memory, size or output.

    Time and memory depend on the machine too: whoever raises it for one of these clears ``of_content``. ``overran`` is
    True if it was the time: another try would take as long.
    """

    of_content = True
    overran: bool = False


class ExtractorUnavailableError(ExtractionError):
    """The extractor process could not be started."""

    retryable = True


class EmbeddingError(RagPipelineError, RuntimeError):
    """Vectors could not be computed, or the embedding model could not be loaded."""

    exit_code = ExitCode.EMBEDDING


class TextRefusedError(EmbeddingError):
    """The endpoint refuses this text, but embeds others."""


class ResourceError(RagPipelineError, RuntimeError):
    """This machine is short of memory, threads, file descriptors or disk space.

    ``may_be_of_file`` is False for a shortage that no single file causes, such as one of threads.
    """

    retryable = True
    may_be_of_file: bool = True


class StoreError(RagPipelineError, RuntimeError):
    """The vector store could not be opened, read or written."""

    exit_code = ExitCode.STORE


class StateError(RagPipelineError, RuntimeError):
    """The state folder is in use by another process, damaged, or of a newer version."""

    exit_code = ExitCode.STATE


class JournalError(RagPipelineError, RuntimeError):
    """The journal could not be opened, read or written."""

    exit_code = ExitCode.STATE


class JournalBusyError(JournalError):
    """Too many searches of the journal are running; a later one may succeed."""


class SearchUnavailableError(RagPipelineError, RuntimeError):
    """Documents can't be searched now: too many searches run, or the store is not open yet; a later one may succeed."""


class AccessDeniedError(RagPipelineError, PermissionError):
    """The service refused a client; ``code`` is the service's code for why, such as ``token_expired``, or None."""

    exit_code = ExitCode.ACCESS

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class UnreachableError(RagPipelineError, ConnectionError):
    """The service does not answer."""

    exit_code = ExitCode.UNREACHABLE


class SlowConsumerError(RagPipelineError, RuntimeError):
    """A reader of events fell behind, and some events were left out; the state is still right."""


class ClientClosedError(RagPipelineError, RuntimeError):
    """The client is closed, so no event or answer can come."""


class WaitTimeoutError(RagPipelineError, TimeoutError):
    """The awaited event did not come in time."""

    exit_code = ExitCode.TIMEOUT


class DeletionsHeldError(RagPipelineError, RuntimeError):
    """A single pass found too many files gone at once: it deleted none of them, and did all other work."""

    exit_code = ExitCode.DELETIONS_HELD
