"""One worker process held by hand: its start, its answers, its end, and what it is not told."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import Failed, Finished, SectionFound, WorkerMessage, WorkerReady, encode
from rag_pipeline.ingest.extract.worker_process import WorkerEndedError, WorkerProcess

DEADLINE_SECONDS = 60.0


def open_descriptors() -> set[str]:
    return {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}


def wait_ready(worker: WorkerProcess) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not worker.is_ready(0.1):
        assert time.monotonic() < deadline, "waited in vain"


def ask(worker: WorkerProcess, path: Path) -> None:
    """Have the worker read a file, which it gets open."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        worker.request(descriptor, path.name)
    finally:
        os.close(descriptor)


def answer(worker: WorkerProcess, path: Path) -> list[WorkerMessage]:
    """Have the worker read a file; return all it says, to the last message."""
    messages: list[WorkerMessage] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    ask(worker, path)
    while not worker.idle:
        assert time.monotonic() < deadline, "waited in vain"
        messages += worker.receive(0.1)
    return messages


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    worker = WorkerProcess(ExtractionLimits())
    yield worker
    worker.kill()


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[WorkerProcess]]:
    """Ends the workers put into it; meanwhile the interpreter is a shell script, tmp_path / "python"."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    started: list[WorkerProcess] = []
    yield started
    for worker in started:
        worker.kill()


def script(path: Path, commands: str) -> None:
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)


def test_one_worker_reads_file_after_file(worker: WorkerProcess, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    wait_ready(worker)
    assert (worker.idle, worker.files_read, worker.is_alive) == (True, 0, True)
    messages = answer(worker, tmp_path / "a.txt")
    assert [message.text for message in messages if isinstance(message, SectionFound)] == ["text"]
    assert messages[-1] == Finished("text/plain")
    assert worker.files_read == 1
    (tmp_path / "empty").touch()
    assert isinstance(answer(worker, tmp_path / "empty")[-1], Failed)
    assert worker.files_read == 2, "a file that could not be read was read too"


def test_it_stays_busy_until_the_last_word_on_its_file(worker: WorkerProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    wait_ready(worker)
    ask(worker, tmp_path / "pipe")
    assert not worker.idle
    assert worker.files_read == 0


def test_nothing_said_in_time_is_no_message(worker: WorkerProcess) -> None:
    wait_ready(worker)
    assert worker.receive(0) == []
    assert worker.receive(0.01) == []


def test_the_worker_is_told_nothing_of_the_hosts_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_killed_worker_says_by_what(worker: WorkerProcess) -> None:
    wait_ready(worker)
    os.kill(worker.process_id, signal.SIGKILL)
    with pytest.raises(WorkerEndedError, match="exit code -9") as caught:
        worker.receive(DEADLINE_SECONDS)
    assert caught.value.exit_code == -signal.SIGKILL
    assert not worker.is_alive


def test_a_request_to_a_dead_worker_says_that_it_ended(worker: WorkerProcess) -> None:
    wait_ready(worker)
    os.kill(worker.process_id, signal.SIGKILL)
    os.waitid(os.P_PID, worker.process_id, os.WEXITED | os.WNOWAIT)  # ended, its exit code still to be had
    with pytest.raises(WorkerEndedError) as caught:
        ask(worker, Path("/dev/null"))
    assert caught.value.exit_code == -signal.SIGKILL


def test_kill_can_be_called_again_and_leaves_nothing_open() -> None:
    before = open_descriptors()
    worker = WorkerProcess(ExtractionLimits())
    assert len(open_descriptors()) > len(before)
    worker.kill()
    worker.kill()
    assert not worker.is_alive
    assert open_descriptors() == before


def test_a_process_that_can_not_be_started_leaves_nothing_open(pretend: list[WorkerProcess]) -> None:
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
def test_why_it_did_not_start_is_its_last_line(
    tmp_path: Path, pretend: list[WorkerProcess], commands: str, words: str
) -> None:
    script(tmp_path / "python", commands)
    worker = WorkerProcess(ExtractionLimits())
    pretend.append(worker)
    with pytest.raises(WorkerEndedError) as caught:
        worker.is_ready(DEADLINE_SECONDS)
    assert (caught.value.exit_code, str(caught.value)) == (3, words)


def test_a_worker_that_talks_nonsense_is_ended(tmp_path: Path, pretend: list[WorkerProcess]) -> None:
    script(tmp_path / "python", f"printf '\\377\\377\\377\\377nonsense'; exec sleep {DEADLINE_SECONDS}")
    worker = WorkerProcess(ExtractionLimits())
    pretend.append(worker)
    with pytest.raises(WorkerEndedError) as caught:
        worker.receive(DEADLINE_SECONDS)
    assert caught.value.exit_code is None
    assert not worker.is_alive


def test_a_frame_that_comes_in_two_halves_is_one_message(tmp_path: Path, pretend: list[WorkerProcess]) -> None:
    frame = encode(WorkerReady())
    (tmp_path / "head").write_bytes(frame[:6])
    (tmp_path / "tail").write_bytes(frame[6:])
    # The second half waits for the test to have seen the first.
    script(
        tmp_path / "python", f"cd {tmp_path}; cat head; head -c 1 >/dev/null; cat tail; exec sleep {DEADLINE_SECONDS}"
    )
    worker = WorkerProcess(ExtractionLimits())
    pretend.append(worker)
    assert worker.receive(DEADLINE_SECONDS) == []
    ask(worker, Path("/dev/null"))
    assert worker.is_ready(DEADLINE_SECONDS)
