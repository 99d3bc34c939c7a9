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
│   ├── ExtractionLimitError             over the bound for time, memory, size or output
│   └── ExtractorUnavailableError        the process that reads files could not be started
├── EmbeddingError (RuntimeError)        vectors could not be computed
│   └── TextRefusedError                 the endpoint embeds other texts, and refuses this one
├── StoreError (RuntimeError)            the vector store could not be read or written
├── ResourceError (RuntimeError)         this machine is short of memory, threads, descriptors or disk space
├── StateError (RuntimeError)            the state folder is in use, damaged or of a newer version
├── JournalError (RuntimeError)          the journal of events could not be opened, read or written
│   └── JournalBusyError                 too many searches of it are under way
├── AccessDeniedError (PermissionError)  a service refused a client: its token, or its namespace
├── UnreachableError (ConnectionError)   a service that was to be followed does not answer
├── SlowConsumerError (RuntimeError)       a reader of events did not keep up with them
├── ClientClosedError (RuntimeError)           what was asked for can't come any more: the client is closed
├── WaitTimeoutError (TimeoutError)     what was waited for did not happen in time
├── DeletionsHeldError (RuntimeError)    a single pass found too many files gone: their texts are kept
├── ControlError (ValueError)            a pipeline can't do what was asked of it; in rag_pipeline.status.control
└── DriveError (RuntimeError)            Google Drive; its tree is in rag_pipeline.sources.google_drive.errors

Each message is one sentence that names the thing. ``retryable`` says whether the same call can succeed later with
nothing changed by the user; it is what a failed file shows as ``error.retryable``.

:func:`run_command` is how each command tells them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, ClassVar, TextIO, TypeVar, cast

from rag_pipeline.common.printing import say

_T = TypeVar("_T")


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
    """A setting or argument has a value that can't be used; the message names key, value and what was expected."""

    exit_code = ExitCode.USAGE


class PortInUseError(RagPipelineError, OSError):
    """A port that was asked for is taken, or may not be bound."""

    exit_code = ExitCode.PORT_IN_USE


class ServiceError(RagPipelineError, RuntimeError):
    """A part of the service did not start or did not stop."""


class ExtractionError(RagPipelineError, ValueError):
    """No text could be had from a file.

    ``of_content`` says that the file's own content is the reason: only then the text it had before is wrong.
    """

    of_content: bool = False


class UnsupportedFileTypeError(ExtractionError):
    """There is no reader for this type of file."""

    of_content = True


class EmptyFileError(ExtractionError):
    """The file has no bytes, or no text."""

    of_content = True


class EncryptedFileError(ExtractionError):
    """The file can be opened with a password only."""

    of_content = True


class CorruptFileError(ExtractionError):
    """The bytes of the file are not what its type promises."""

    of_content = True


class ExtractionLimitError(ExtractionError):
    """Reading the file went over the bound for time, memory, size or output.

    Size and output are of the content; time and memory depend on the machine too, and clear ``of_content``.
    ``overran`` says that it was the time: another try would take as long.
    """

    of_content = True
    overran: bool = False


class ExtractorUnavailableError(ExtractionError):
    """The process that reads files could not be started."""

    retryable = True


class EmbeddingError(RagPipelineError, RuntimeError):
    """Vectors could not be computed, or the embedding model could not be loaded."""

    exit_code = ExitCode.EMBEDDING


class TextRefusedError(EmbeddingError):
    """The endpoint refuses this text and embeds others."""


class ResourceError(RagPipelineError, RuntimeError):
    """This machine is short of memory, threads, file descriptors or disk space."""

    retryable = True


class StoreError(RagPipelineError, RuntimeError):
    """The vector store could not be opened, read or written."""

    exit_code = ExitCode.STORE


class StateError(RagPipelineError, RuntimeError):
    """The state folder is in use by another process, damaged, or of a newer version."""

    exit_code = ExitCode.STATE


class JournalError(RagPipelineError, RuntimeError):
    """The journal of events could not be opened, read or written."""

    exit_code = ExitCode.STATE


class JournalBusyError(JournalError):
    """Too many searches of the journal are under way; one of a second later may find its turn."""


class AccessDeniedError(RagPipelineError, PermissionError):
    """The service refused a client; ``code`` is the service's own word for why, such as ``token_expired``, or None."""

    exit_code = ExitCode.ACCESS

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class UnreachableError(RagPipelineError, ConnectionError):
    """A service that was to be followed does not answer."""

    exit_code = ExitCode.UNREACHABLE


class SlowConsumerError(RagPipelineError, RuntimeError):
    """A reader of events did not keep up with them, and some were left out; the state is right all the same."""


class ClientClosedError(RagPipelineError, RuntimeError):
    """What was asked for can't come any more: the client is closed."""


class WaitTimeoutError(RagPipelineError, TimeoutError):
    """What was waited for did not happen in time."""

    exit_code = ExitCode.TIMEOUT


class DeletionsHeldError(RagPipelineError, RuntimeError):
    """Too many files are gone at once; a single pass has done all other work, and nothing of theirs is deleted."""

    exit_code = ExitCode.DELETIONS_HELD


def run_command(program: str, command: Callable[[], int], *, last: bool = False) -> int:
    """Run a command, and turn what it raises into one line on stderr and the exit code it returns.

    An output that can't be written, as on a full disk, is such a line too; a reader that has gone, as with ``| head``,
    is no error. ``last`` says that the process ends with the command: Ctrl+C then comes too late to change anything.
    """
    try:
        code = _code_of(program, command)
        if last:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def tell(program: str, message: str) -> None:
    """Print the line that says what is wrong."""
    with suppress(OSError):  # where stderr can't be written either, the exit code says it
        say(f"{program}: error: {' '.join(message.split())}", sys.stderr)


class _Output:
    """Stdout while a command runs: ``refused`` is the error of the write that failed first."""

    def __init__(self, stream: TextIO) -> None:
        self.refused: OSError | None = None
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._noting(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._noting(self._stream.flush)

    def _noting(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except OSError as error:
            self.refused = self.refused or error
            raise


def _code_of(program: str, command: Callable[[], int]) -> int:
    if sys.stdout is None:  # closed from the start, as by `>&-`: print does nothing
        return _told(program, command)
    stream = sys.stdout
    output = _Output(stream)
    sys.stdout = cast(TextIO, output)
    try:
        code = _told(program, command)
        output.flush()
        return code
    except SystemExit:  # of --help, which hides what it could not write
        with suppress(OSError):
            output.flush()
        if output.refused is None:
            raise
        return _without_output(program, stream, output.refused)
    except OSError as error:
        if error is not output.refused:
            raise
        return _without_output(program, stream, error)
    finally:
        sys.stdout = stream


def _told(program: str, command: Callable[[], int]) -> int:
    try:
        return command()
    except RagPipelineError as error:
        tell(program, str(error))
        return error.exit_code


def _without_output(program: str, stream: TextIO, refused: OSError) -> int:
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(refused, BrokenPipeError):
        return ExitCode.OK
    tell(program, f"the output can't be written: {refused.strerror}")
    return ExitCode.OUTPUT
