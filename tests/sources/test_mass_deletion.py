"""Mass deletions with real processes: held, shown, and confirmed by commands and over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ExitCode
from tests.contract.checking import check_answer
from tests.socket_server.support import request
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import command, found
from tests.support.http_get import get_json
from tests.support.programs import Program, run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

TABLE = '[[pipeline]]\nkind = "local_files"\nid = "my papers"\nfolder = "docs"\ndelete_max_files = 2\n'
SERVICE = '[service]\nport = 0\nstate_dir = "state"\n'
SAID = "4 of 5 files are gone; confirm with "
IN_PASS = f"{SAID}--confirm-deletions, or they are kept"
State = dict[str, Any]


@pytest.fixture(scope="module")
def api() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture
def env(api: Endpoint) -> dict[str, str]:
    return {**api.env, "RAG_SETTLE_SECONDS": "0", "RAG_CHECK_INTERVAL": "0.5", "STATUS_CONTROL": "1"}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder of five documents."""
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    for name in ("top", "sub/a", "sub/b", "sub/c", "sub/d"):
        (folder / f"{name}.txt").write_text(f"walrus {name}")
        os.utime(folder / f"{name}.txt", (1e9, 1e9))
    return folder


def run_file(folder: Path) -> str:
    path = folder / "run.toml"
    path.write_text(SERVICE + TABLE)
    return str(path)


def wait_for(port: int, holds: Callable[[State], bool]) -> State:
    states: list[State] = []

    def check() -> bool:
        states[:] = [get_json(port, "/status").body]
        return holds(states[0])

    wait_until(check)
    return states[0]


def is_idle_with(stored: int) -> Callable[[State], bool]:
    return lambda state: state["status"] == "idle" and state.get("files_stored") == stored


def post(port: int, path: str) -> tuple[int, dict[str, Any]]:
    status, headers, text = request(port, path, "POST")
    check_answer(path, status, headers, text, "POST")
    return status, json.loads(text)


def stored(env: dict[str, str], state_dir: Path) -> int:
    return len({hit["name"] for hit in found("walrus", env, state_dir)})


@pytest.mark.parametrize("by", ["command", "http"])
def test_held_deletions_are_shown_and_confirmed(docs: Path, env: dict[str, str], tmp_path: Path, by: str) -> None:
    with Program("-m", "rag_pipeline", "run", run_file(tmp_path), env=env) as running:
        port = int(running.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))
        url = f"http://127.0.0.1:{port}"
        wait_for(port, is_idle_with(5))
        refused = run("-m", "rag_pipeline", "control", url, "confirm")
        assert (refused.returncode, refused.stderr) == (
            ExitCode.REFUSED,
            "rag-pipeline: error: there is nothing to confirm\n",
        )
        assert post(port, "/control/my%20papers/confirm") == (409, {"error": "there is nothing to confirm"})
        shutil.rmtree(docs / "sub")
        (docs / "new.txt").write_text("walrus new")
        told = wait_for(port, lambda s: s.get("deletions_held") == 4 and s["files_stored"] == 6)
        message = f"{SAID}`rag-pipeline control 'my papers' confirm 4`, or they are kept"
        told = wait_for(port, lambda s: s.get("message") == message.replace("of 5", "of 6"))
        assert (told["status"], told["total_deleted"]) == ("error", 0)
        fewer = {"error": "4 files are gone by now, not 3: confirm that number"}
        assert post(port, "/control/my%20papers/confirm?count=3") == (409, fewer)
        assert post(port, "/control/my%20papers/confirm?count=all")[0] == 400
        assert post(port, "/control/my%20papers/check?count=4")[0] == 400
        if by == "command":
            refused = run("-m", "rag_pipeline", "control", url, "my papers", "confirm", "3")
            assert refused.returncode == ExitCode.REFUSED
            asked = run("-m", "rag_pipeline", "control", url, "my papers", "confirm", "4")
            assert (asked.returncode, asked.stdout) == (0, "my papers: asked to confirm 4\n")
        else:
            answer = {"pipeline_id": "my papers", "action": "confirm", "file": None}
            assert post(port, "/control/my%20papers/confirm?count=4") == (202, answer)
        told = wait_for(port, is_idle_with(2))
        assert (told["total_deleted"], told.get("deletions_held"), told.get("message")) == (4, None, None)
        running.signal(signal.SIGTERM)
        assert running.exit_code() == 0


def test_a_single_pass_with_held_deletions_ends_with_its_code_until_confirmed(
    docs: Path, env: dict[str, str], tmp_path: Path
) -> None:
    limits = {**env, "RAG_DELETE_MAX_FILES": "2"}
    once = ["local-files", str(docs), "--once", "--state-dir", str(tmp_path / "state")]
    assert command(once, limits).returncode == 0
    shutil.rmtree(docs / "sub")
    held = command(once, limits)
    assert (held.returncode, held.stderr.splitlines()[-1]) == (
        ExitCode.DELETIONS_HELD,
        f"rag-pipeline: error: {IN_PASS}",
    )
    assert stored(env, tmp_path / "state") == 5
    assert command([*once, "--confirm-deletions"], limits).returncode == 0
    assert stored(env, tmp_path / "state") == 1


def test_single_passes_of_a_run_file_with_held_deletions_do_the_same(
    docs: Path, env: dict[str, str], tmp_path: Path
) -> None:
    once = ["run", run_file(tmp_path), "--once"]
    assert command(once, env).returncode == 0
    shutil.rmtree(docs / "sub")
    held = command(once, env)
    assert (held.returncode, held.stderr.splitlines()[-1]) == (
        ExitCode.DELETIONS_HELD,
        f"rag-pipeline: error: my papers: {IN_PASS}",
    )
    assert stored(env, tmp_path / "state") == 5
    assert command([*once, "--confirm-deletions"], env).returncode == 0
    assert stored(env, tmp_path / "state") == 1
