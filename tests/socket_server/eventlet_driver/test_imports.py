"""Importing eventlet changes nothing in the host program."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_the_import_warns_nobody_and_patches_nothing() -> None:
    program = (
        "import socket, threading, _thread, time\n"
        "before = (socket.socket, threading.Thread.start, _thread.start_new_thread, time.sleep)\n"
        "import rag_pipeline.socket_server.eventlet_driver.loop\n"
        "assert before == (socket.socket, threading.Thread.start, _thread.start_new_thread, time.sleep)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
