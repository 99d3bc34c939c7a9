from __future__ import annotations

import os
import subprocess
import sys

from rag_pipeline.common.liveness import is_alive


def test_a_process_is_alive_until_it_has_ended() -> None:
    assert is_alive(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(process.pid)
        process.communicate(b"\n")
    assert not is_alive(process.pid)


def test_an_impossible_process_id_is_not_alive() -> None:
    assert not is_alive(1 << 70)
