from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline.errors import ExitCode, StateError
from rag_pipeline.sources.state_folder import StateFolder

HOLD = """
import sys, time
from pathlib import Path
from rag_pipeline.sources.state_folder import StateFolder
folder = StateFolder(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_the_folder_is_created_and_ignored_by_git(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "a" / "b") as state:
        assert state.store == tmp_path / "a" / "b" / "store"
        assert (state.path / ".gitignore").read_text() == "*\n"


def test_a_locked_folder_is_refused_and_the_error_names_the_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError, match=f"in use by process {holder.pid}"):
            StateFolder(tmp_path)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(60)
        StateFolder(tmp_path).close()


def test_closing_is_idempotent_and_releases_the_lock(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.close()
    state.close()
    StateFolder(tmp_path).close()


def test_an_unusable_folder_is_one_line_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as caught:
        StateFolder(tmp_path / "file", "--state-dir")
    expected = "expected a folder that can be made and written to (File exists)"
    assert str(caught.value) == f"--state-dir='{tmp_path}/file': {expected}"
    assert caught.value.exit_code is ExitCode.STATE
