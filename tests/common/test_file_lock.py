from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.common import file_lock
from tests.support.waiting import DEADLINE_SECONDS

FORKS = """
import os, sys, time
from rag_pipeline.common import file_lock
from tests.support.waiting import DEADLINE_SECONDS

fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
file_lock.lock(fd)
if os.fork() == 0:  # this child has a copy of the lock
    time.sleep(float(sys.argv[2]))
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_a_lock_names_its_holder_and_fails_at_once_while_the_holder_lives(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    try:
        file_lock.lock(first)
        assert file_lock.holder(second) == str(os.getpid())
        with pytest.raises(BlockingIOError):
            file_lock.lock(second)
    finally:
        os.close(first)
    file_lock.lock(second)
    os.close(second)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "is_had"), [(1.0, True), (5.0, False)])
def test_locking_waits_while_a_child_of_a_killed_process_has_a_copy_of_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, is_had: bool
) -> None:
    monkeypatch.setattr(file_lock, "PATIENCE_SECONDS", DEADLINE_SECONDS if is_had else 0.2)
    path = tmp_path / "lock"
    fd = opened(path)
    with subprocess.Popen([sys.executable, "-c", FORKS, str(path), str(seconds)], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"held\n"
        program.kill()
        program.wait(DEADLINE_SECONDS)
        if is_had:
            file_lock.lock(fd)
        else:
            with pytest.raises(BlockingIOError):
                file_lock.lock(fd)
    os.close(fd)


def test_a_locked_file_without_a_process_id_counts_as_held(tmp_path: Path) -> None:
    fd = opened(tmp_path / "lock")
    assert file_lock.holder(fd) == "unknown"
    os.pwrite(fd, b"not a number", 0)
    assert file_lock.holder(fd) == "not a number"
    os.close(fd)
