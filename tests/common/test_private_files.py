"""Other users can't open the files that real runs leave."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.common.private_files import (
    create_private,
    make_private_folder,
    open_private,
    warn_if_open,
    write_private,
)
from rag_pipeline.sources.database import Database

_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """Return the paths that other users may open; the modes of symbolic links mean nothing."""
    found = [folder, *folder.rglob("*")]
    return [f"{p} {p.stat().st_mode & 0o777:04o}" for p in found if not p.is_symlink() and p.stat().st_mode & 0o077]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_missing_parents_are_private_and_existing_ones_stay_unchanged(tmp_path: Path) -> None:
    with umask(0):
        make_private_folder(tmp_path / "a" / "b")
        (tmp_path / "open").mkdir(0o755)
        make_private_folder(tmp_path / "open")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "open")) == (0o700, 0o700, 0o755)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    with umask(0):
        os.close(open_private(tmp_path / "opened", os.O_RDWR))
        write_private(tmp_path / "written", "é")
        write_private(tmp_path / "written", "x")
        create_private(tmp_path / "created")
    assert open_to_others(tmp_path / "opened") == open_to_others(tmp_path / "written") == []
    assert open_to_others(tmp_path / "created") == []
    assert (tmp_path / "written").read_text() == "x"
    create_private(tmp_path / "no folder" / "x")  # a later open raises the error


def test_sqlite_gives_its_other_files_the_mode_of_the_database(tmp_path: Path) -> None:
    with umask(0):
        database = Database(tmp_path / "a.db", ["CREATE TABLE t (x)"], rebuilt="")
        try:
            names = sorted(path.name for path in tmp_path.iterdir())
            assert names == ["a.db", "a.db-shm", "a.db-wal"]
            assert [mode(path) for path in tmp_path.iterdir()] == [0o600] * 3
        finally:
            database.close()


def test_a_library_keeps_its_state_private_and_leaves_the_umask_alone(tmp_path: Path) -> None:
    with umask(0):
        status = PipelineStatus("local_files", "mine")
        with start_status_server(0, pipelines=[status], state_dir=tmp_path / "new" / "state"):
            status.update(status="running")
            assert open_to_others(tmp_path / "new") == []
        status.close()
        assert os.umask(0) == 0
    assert open_to_others(tmp_path / "new") == []


@pytest.mark.slow
def test_a_command_keeps_all_of_its_state_private(tmp_path: Path) -> None:
    """Including the vector store, which LanceDB writes."""
    docs, state = tmp_path / "docs", tmp_path / "state"
    docs.mkdir()
    (docs / "a.txt").write_text("a secret that nobody else may read")
    done = run_command(docs, state)
    assert done.returncode == 0, done.stderr
    assert "can be opened" not in done.stderr
    assert (state / "store").is_dir()
    assert open_to_others(state) == []


@pytest.mark.slow
def test_a_command_warns_of_a_state_folder_that_others_can_open(tmp_path: Path) -> None:
    docs, state = tmp_path / "docs", tmp_path / "state"
    docs.mkdir()
    (docs / "a.txt").write_text("a secret that nobody else may read")
    state.mkdir(0o755)
    done = run_command(docs, state)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"the state folder {state} can be opened by other users (mode 0755): run chmod") == 1
    assert open_to_others(state) == [f"{state} 0755"], "what is made in it is private all the same"


@pytest.mark.slow
def test_the_demo_keeps_its_state_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    options = ["--demo", "--once", "--speed", "100000", "--port", "0"]
    done = subprocess.run(
        [sys.executable, str(_ROOT / "status_server.py"), *options],
        env={**environment(), "STATUS_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=120,
        umask=0o022,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert state.is_dir()
    assert open_to_others(state) == []


def test_the_memory_and_environment_of_a_command_are_hidden(tmp_path: Path) -> None:
    code = (
        "import ctypes\nfrom rag_pipeline.common.private_files import keep_process_private\n"
        "keep_process_private()\nprint(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_a_folder_of_another_user_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o700)
    if tmp_path.stat().st_uid == 0:
        os.chown(tmp_path, 12345, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 12345)
    with caplog.at_level(logging.WARNING):
        warn_if_open(tmp_path)
        warn_if_open(tmp_path)
        warn_if_open(tmp_path / "missing")
    (record,) = caplog.records
    assert "belongs to another user" in record.message
    assert str(tmp_path) in record.message


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("STATUS_", "RAG_", "SOCKET_"))}
    return {**kept, "PYTHONPATH": str(_ROOT)}


def run_command(docs: Path, state: Path) -> subprocess.CompletedProcess[str]:
    options = ["--once", "--plain", "--port", "0", "--state-dir", str(state)]
    return subprocess.run(
        [sys.executable, "-m", "rag_pipeline", "local-files", str(docs), *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        umask=0o022,
        check=False,
    )
