"""The extractor's end of one worker process: starting it, talking to it, ending it."""

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

_REAP_SECONDS = 1.0
_READ_BYTES = 1 << 16
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[3])
# Of the host's environment only what the interpreter itself needs to start: no credentials, no proxies, no caches.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TZ")


class WorkerEndedError(Exception):
    """The worker is gone; ``exit_code`` is negative for a signal, None if it could not even be waited for."""

    def __init__(self, exit_code: int | None, words: str = "") -> None:
        super().__init__(words or f"exit code {exit_code}")
        self.exit_code = exit_code


class WorkerProcess:
    """A child process that reads files, one at a time; used by one thread at a time.

    A process, and not a thread: it can be bounded and killed, and its work holds no lock of this interpreter. Started
    as a fresh interpreter and not by ``multiprocessing``: forking a program with threads is unsafe, and spawning needs
    the host's main module to be importable. Files reach it open, since it can open none itself.
    """

    def __init__(self, limits: ExtractionLimits) -> None:
        """Start the process; raises OSError if the system has no room for it. ``idle``: no file is being read."""
        self.files_read = 0
        self.idle = True
        self._decoder = Decoder()
        self.lacks = ""
        lifeline, self._lifeline = os.pipe()
        self._requests, requests = socketpair()
        try:
            self._process = subprocess.Popen(
                # -P: or this folder would be on the path, with modules of common names
                [sys.executable, "-P", "-s", "-B", _launcher(), json.dumps(asdict(limits)), str(lifeline)],
                stdin=requests.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(lifeline,),
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl+C in the terminal is for the host, which stops in order
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
        """Whether the process still runs."""
        return self._process.poll() is None

    def is_ready(self, timeout_seconds: float) -> bool:
        """Wait for the worker to be confined; raises WorkerEndedError with the worker's last words if it failed."""
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
        self.lacks = ready.lacks
        self._process.stderr.close()
        return True

    def request(self, descriptor: int, name: str) -> None:
        """Have the worker read an open file, of which it gets a copy; raises :class:`WorkerEndedError`."""
        self.idle = False
        try:
            # The worker waits for it with an empty socket, which takes any name in one call.
            frame = encode(ReadRequest(os.fsencode(name).decode("latin-1")))
            rights = [(SOL_SOCKET, SCM_RIGHTS, array("i", [descriptor]))]
            self._requests.sendmsg([frame], rights, MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerEndedError(self._reap()) from None

    def receive(self, timeout_seconds: float) -> list[WorkerMessage]:
        """Return the messages that arrive within the timeout, as soon as there are any; raises WorkerEndedError."""
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
            self.idle = True
            self.files_read += 1
        return messages

    def kill(self) -> None:
        """End the worker at once; idempotent."""
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
        except subprocess.TimeoutExpired:  # stuck in the kernel, on a dead network mount; it ends when that answers
            return None
        return code


def _launcher() -> str:
    return str(Path(__file__).with_name("launch.py"))


def _environment() -> dict[str, str]:
    """Return an environment in which the child finds the same modules as this process, and little else."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    paths = [path for path in sys.path if Path(path).is_absolute()]
    if _PACKAGE_PARENT not in paths:
        paths.append(_PACKAGE_PARENT)
    # Libraries that look for a home to keep caches in find none that can be written.
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "HOME": "/nonexistent"}


def _wait_readable(descriptor: int, timeout_seconds: float) -> bool:
    # Looked up at each call: a host patched for greenlets takes ``poll`` away and leaves a ``select`` that yields.
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_seconds * 1000))
    return bool(select.select([descriptor], [], [], timeout_seconds)[0])
