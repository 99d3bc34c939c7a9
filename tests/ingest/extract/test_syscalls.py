"""The system calls, made in a separate process where they can't be undone."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.ingest.extract import syscalls

_ROOT = Path(__file__).resolve().parents[3]


def test_an_error_of_the_kernel_is_an_os_error() -> None:
    with pytest.raises(OSError) as caught:
        syscalls.syscall(1 << 20)
    assert caught.value.errno == errno.ENOSYS
    with pytest.raises(OSError) as caught:
        syscalls.prctl(1 << 20)
    assert caught.value.errno == errno.EINVAL


def test_capabilities_are_dropped_for_good() -> None:
    code = (
        "from rag_pipeline.ingest.extract import syscalls\n"
        "syscalls.drop_capabilities()\nsyscalls.forbid_new_privileges()\n"
        "print(open('/proc/self/status').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) in (0, 1 << 2)  # root keeps the right to read all files
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16)
    assert status["NoNewPrivs"] == "1"
