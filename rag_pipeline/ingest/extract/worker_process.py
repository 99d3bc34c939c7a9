"""Start a worker process, exchange messages with it, and end it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from _socket import MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET, socketpair  # the same in a host that patches socket
from array import array
from dataclasses import asdict
from pathlib import Path

from rag_pipeline.ingest.extract.installed_plugins import to_environment
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import (
    Decoder,
    Failed,
    Finished,
    ProtocolError,
    ReadRequest,
    WorkerMessage,
    WorkerReady,
    encode,
)
from rag_pipeline.ingest.extract.read_options import ReadOptions

_REAP_SECONDS = 1.0
_READ_BYTES = 1 << 16
_LAUNCHER = Path(__file__).with_name("launch.py")
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[3])
# The only variables that a worker inherits: the interpreter needs them to start. No credentials, proxies or caches.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TZ")


class WorkerEndedError(Exception):
    """The worker has ended; ``exit_code`` is negative for a signal, None if the process could not be reaped."""

    def __init__(self, exit_code: int | None, detail: str = "") -> None:
        super().__init__(detail or f"exit code {exit_code}")
        self.exit_code = exit_code


class WorkerProcess:
    """A child process that reads files, one at a time; use it from one thread at a time.

    Unlike a thread, a process can be limited and killed, and it does not hold this interpreter's GIL. It is a fresh
    interpreter, not one of ``multiprocessing``: forking a program with threads is unsafe, and spawning requires an
    importable main module. It can't open files, so it receives descriptors.
    """

    def __init__(self, limits: ExtractionLimits, launcher: Path | None = None) -> None:
        """Start the process, with another script than ``launch.py`` if given; raises OSError if the system can't."""
        self.files_read = 0
        self.is_idle = True
        self.missing = ""
        self._decoder = Decoder()
        lifeline, self._lifeline = os.pipe()
        self._requests, requests = socketpair()
        try:
            self._process = subprocess.Popen(
                # -P keeps this folder off the path: its modules have common names.
                [
                    sys.executable,
                    "-P",
                    "-s",
                    "-B",
                    str(launcher or _LAUNCHER),
                    json.dumps(asdict(limits)),
                    str(lifeline),
                ],
                stdin=requests.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(lifeline,),
                cwd="/",
                env=_environment(),
                start_new_session=True,  # so that Ctrl+C reaches only the host, which stops its workers in order
            )
        except BaseException:
            os.close(self._lifeline)
            self._requests.close()
            raise
        finally:
            os.close(lifeline)
            requests.close()
        assert self._process.stdout
        self._replies_fd = self._process.stdout.fileno()
        os.set_blocking(self._replies_fd, False)

    @property
    def process_id(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def is_ready(self, timeout_seconds: float) -> bool:
        """Return whether the worker is confined and ready; wait for it up to the timeout.

        Raises WorkerEndedError, with the last line of the worker's stderr, if it failed to start.
        """
        assert self._process.stderr
        try:
            ready = next(
                (message for message in self.receive(timeout_seconds) if isinstance(message, WorkerReady)), None
            )
        except WorkerEndedError as ended:
            lines = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise WorkerEndedError(ended.exit_code, lines[-1][:200] if lines else "") from None
        if ready is None:
            return False
        self.missing = ready.missing
        self._process.stderr.close()
        return True

    def request(self, descriptor: int, name: str, options: ReadOptions) -> None:
        """Send the worker a copy of the descriptor to read; raises :class:`WorkerEndedError`."""
        self.is_idle = False
        try:
            # An idle worker's socket buffer is empty, so it takes any name in one call.
            frame = encode(ReadRequest(os.fsencode(name).decode("latin-1"), options.hidden, options.comments))
            rights = [(SOL_SOCKET, SCM_RIGHTS, array("i", [descriptor]))]
            self._requests.sendmsg([frame], rights, MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerEndedError(self._reap()) from None

    def receive(self, timeout_seconds: float) -> list[WorkerMessage]:
        """Return messages as soon as any arrive, or none after the timeout; raises WorkerEndedError."""
        if not _wait_readable(self._replies_fd, timeout_seconds):
            return []
        try:
            data = os.read(self._replies_fd, _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise WorkerEndedError(self._reap())
        try:
            messages = list(self._decoder.feed(data))
        except ProtocolError:
            self.kill()
            raise WorkerEndedError(None) from None
        if messages and isinstance(messages[-1], Finished | Failed):
            self.is_idle = True
            self.files_read += 1
        return messages

    def kill(self) -> None:
        """Kill the worker; idempotent."""
        if self._process.returncode is None:
            self._process.kill()
        self._reap()
        assert self._process.stderr
        self._process.stderr.close()

    def _reap(self) -> int | None:
        assert self._process.stdout
        self._process.stdout.close()
        self._requests.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        try:
            code = self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:  # stuck in the kernel, for example on a dead network mount
            return None
        return code


def _environment() -> dict[str, str]:
    """Return a minimal environment in which the child finds the same modules as this process."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    paths = [path for path in sys.path if Path(path).is_absolute()]
    if _PACKAGE_PARENT not in paths:
        paths.append(_PACKAGE_PARENT)
    # A home that does not exist keeps libraries from writing caches.
    return {**kept, **to_environment(), "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "HOME": "/nonexistent"}


def _wait_readable(descriptor: int, timeout_seconds: float) -> bool:
    # Looked up at each call: a host patched for greenlets has no ``poll``, but a ``select`` that yields.
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_seconds * 1000))
    return bool(select.select([descriptor], [], [], timeout_seconds)[0])
