"""A single worker process: its start, its messages, its end, and its environment."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import Failed, Finished, SectionFound, WorkerMessage, WorkerReady, encode
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.worker_process import WorkerEndedError, WorkerProcess
from tests.support.waiting import DEADLINE_SECONDS, wait_until


def open_descriptors() -> set[str]:
    return {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}


def wait_ready(worker: WorkerProcess) -> None:
    wait_until(lambda: worker.is_ready(0.1))


def request(worker: WorkerProcess, path: Path) -> None:
    """Open a file and request the worker to read it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        worker.request(descriptor, path.name, ReadOptions())
    finally:
        os.close(descriptor)


def read(worker: WorkerProcess, path: Path) -> list[WorkerMessage]:
    """Have the worker read a file; return all its messages."""
    messages: list[WorkerMessage] = []

    def is_done() -> bool:
        messages.extend(worker.receive(0.1))
        return worker.is_idle

    request(worker, path)
    wait_until(is_done)
    return messages


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    worker = WorkerProcess(ExtractionLimits())
    yield worker
    worker.kill()


@pytest.fixture
def scripted_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[WorkerProcess]]:
    """A list of workers to kill at the end; meanwhile the shell script tmp_path / "python" is the interpreter."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    started: list[WorkerProcess] = []
    yield started
    for worker in started:
        worker.kill()


def script(path: Path, commands: str) -> None:
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)


def test_a_worker_reads_several_files(worker: WorkerProcess, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    wait_ready(worker)
    assert (worker.is_idle, worker.files_read, worker.is_alive) == (True, 0, True)
    messages = read(worker, tmp_path / "a.txt")
    assert [message.text for message in messages if isinstance(message, SectionFound)] == ["text"]
    assert messages[-1] == Finished("text/plain", characters=4)
    assert worker.files_read == 1
    (tmp_path / "empty").touch()
    assert isinstance(read(worker, tmp_path / "empty")[-1], Failed)
    assert worker.files_read == 2, "a file that could not be read was read too"


def test_a_worker_is_busy_until_the_last_message_of_its_file(worker: WorkerProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    wait_ready(worker)
    request(worker, tmp_path / "pipe")
    assert not worker.is_idle
    assert worker.files_read == 0


def test_receive_returns_nothing_after_the_timeout(worker: WorkerProcess) -> None:
    wait_ready(worker)
    assert worker.receive(0) == []
    assert worker.receive(0.01) == []


def test_a_worker_does_not_inherit_the_hosts_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDING_API_KEY", "sk-secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy")
    monkeypatch.setattr(sys, "path", [*sys.path, "", "relative"])
    secret = (tmp_path / "secret").open("w")
    os.set_inheritable(secret.fileno(), True)
    worker = WorkerProcess(ExtractionLimits())
    try:
        wait_ready(worker)
        process = Path(f"/proc/{worker.process_id}")
        environment = dict(entry.split("=", 1) for entry in (process / "environ").read_text().rstrip("\0").split("\0"))
        assert "secret" not in str(environment)
        assert environment["HOME"] == "/nonexistent"
        assert all(path.startswith("/") for path in environment["PYTHONPATH"].split(":"))
        assert tmp_path / "secret" not in [entry.readlink() for entry in (process / "fd").iterdir()]
        assert (process / "cwd").readlink() == Path("/")
        assert os.getsid(worker.process_id) == worker.process_id, "Ctrl+C in the terminal passes it by"
    finally:
        worker.kill()
        secret.close()


def test_the_error_has_the_signal_that_killed_the_worker(worker: WorkerProcess) -> None:
    wait_ready(worker)
    os.kill(worker.process_id, signal.SIGKILL)
    with pytest.raises(WorkerEndedError, match="exit code -9") as caught:
        worker.receive(DEADLINE_SECONDS)
    assert caught.value.exit_code == -signal.SIGKILL
    assert not worker.is_alive


def test_a_request_to_a_dead_worker_raises(worker: WorkerProcess) -> None:
    wait_ready(worker)
    os.kill(worker.process_id, signal.SIGKILL)
    os.waitid(os.P_PID, worker.process_id, os.WEXITED | os.WNOWAIT)  # it has ended and is not reaped
    with pytest.raises(WorkerEndedError) as caught:
        request(worker, Path("/dev/null"))
    assert caught.value.exit_code == -signal.SIGKILL


def test_kill_is_idempotent_and_closes_everything() -> None:
    before = open_descriptors()
    worker = WorkerProcess(ExtractionLimits())
    assert len(open_descriptors()) > len(before)
    worker.kill()
    worker.kill()
    assert not worker.is_alive
    assert open_descriptors() == before


def test_a_failed_start_closes_everything(scripted_workers: list[WorkerProcess]) -> None:
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        WorkerProcess(ExtractionLimits())
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ("echo Traceback >&2; echo 'Error: why' >&2; exit 3", "Error: why"),
        ("exit 3", "exit code 3"),
        (r"printf '%0300d' 1 >&2; exit 3", "0" * 200),
        (r"printf 'caf\351' >&2; exit 3", "caf\ufffd"),
    ],
)
def test_the_last_line_of_stderr_says_why_it_did_not_start(
    tmp_path: Path, scripted_workers: list[WorkerProcess], commands: str, words: str
) -> None:
    script(tmp_path / "python", commands)
    worker = WorkerProcess(ExtractionLimits())
    scripted_workers.append(worker)
    with pytest.raises(WorkerEndedError) as caught:
        worker.is_ready(DEADLINE_SECONDS)
    assert (caught.value.exit_code, str(caught.value)) == (3, words)


def test_a_worker_that_breaks_the_protocol_is_killed(tmp_path: Path, scripted_workers: list[WorkerProcess]) -> None:
    script(tmp_path / "python", f"printf '\\377\\377\\377\\377nonsense'; exec sleep {DEADLINE_SECONDS}")
    worker = WorkerProcess(ExtractionLimits())
    scripted_workers.append(worker)
    with pytest.raises(WorkerEndedError) as caught:
        worker.receive(DEADLINE_SECONDS)
    assert caught.value.exit_code is None
    assert not worker.is_alive


def test_a_frame_in_two_pieces_is_one_message(tmp_path: Path, scripted_workers: list[WorkerProcess]) -> None:
    frame = encode(WorkerReady())
    (tmp_path / "head").write_bytes(frame[:6])
    (tmp_path / "tail").write_bytes(frame[6:])
    # The script sends the second piece once the test has read the first.
    script(
        tmp_path / "python", f"cd {tmp_path}; cat head; head -c 1 >/dev/null; cat tail; exec sleep {DEADLINE_SECONDS}"
    )
    worker = WorkerProcess(ExtractionLimits())
    scripted_workers.append(worker)
    assert worker.receive(DEADLINE_SECONDS) == []
    request(worker, Path("/dev/null"))
    assert worker.is_ready(DEADLINE_SECONDS)
