"""The command from outside: a process, a Drive of the tests' own, and what it says."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import ExitCode
from tests.drive import DriveServer
from tests.live import Program, ask, run, wait_until
from tests.pipelines.endpoint import endpoint

KEY = "GOOGLE_DRIVE_CREDENTIALS_JSON"
COMMAND = ("-m", "rag_pipeline", "google-drive")


@pytest.fixture
def drive() -> Iterator[DriveServer]:
    with DriveServer() as server:
        yield server


@pytest.fixture
def env(drive: DriveServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    with endpoint() as api:
        yield {
            **api.env,
            KEY: json.dumps(drive.service_account()),
            "GOOGLE_DRIVE_API_URL": drive.url,
            "STATUS_STATE_DIR": str(tmp_path / "state"),
        }


def test_one_pass_stores_what_is_there_and_the_next_does_nothing(drive: DriveServer, env: dict[str, str]) -> None:
    folder_id = drive.drive.add_folder("shared")
    drive.drive.add_file("one.txt", "the lighthouse keeper", folder_id)
    first = run(*COMMAND, "--folder-id", folder_id, "--once", "--port", "0", "--plain", env=env)
    assert (first.returncode, "one.txt" in first.stdout) == (0, True), first.stderr
    fetched = drive.requests.count("media")
    again = run(*COMMAND, "--folder-id", folder_id, "--once", "--port", "0", "--plain", env=env)
    assert again.returncode == 0, again.stderr
    assert (fetched, drive.requests.count("media")) == (1, 1)


def test_a_kill_in_the_middle_leaves_every_file_stored_once(drive: DriveServer, env: dict[str, str]) -> None:
    folder_id = drive.drive.add_folder("shared")
    for number in range(30):
        drive.drive.add_file(f"{number}.txt", f"the keeper of lighthouse {number}", folder_id)
    with Program(*COMMAND, "--folder-id", folder_id, "--port", "0", "--plain", env=env) as program:
        port = int(program.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))
        wait_until(lambda: ask(port, "/status").body["total_processed"] >= 5, "some files")
        program.signal(signal.SIGKILL)
        program.exit_code()
    with Program(*COMMAND, "--folder-id", folder_id, "--port", "0", "--plain", env=env) as program:
        port = int(program.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))
        wait_until(lambda: ask(port, "/status").body["status"] == "idle", "the end of the work")
        state = ask(port, "/status").body
    assert state["files_stored"] == 30
    assert state["pipeline_type"] == "google_drive"


@pytest.mark.parametrize(
    ("arguments", "changed", "code", "said"),
    [
        ([], {}, ExitCode.USAGE, "RAG_WATCH_FOLDER_ID"),
        (
            ["--folder-id", "x"],
            {"GOOGLE_DRIVE_CREDENTIALS_JSON": "{"},
            ExitCode.ACCESS,
            "GOOGLE_DRIVE_CREDENTIALS_JSON",
        ),
        (
            ["--folder-id", "x"],
            {"GOOGLE_DRIVE_CREDENTIALS_JSON": ""},
            ExitCode.ACCESS,
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ],
)
def test_a_mistake_is_one_line(
    env: dict[str, str], arguments: list[str], changed: dict[str, str], code: ExitCode, said: str
) -> None:
    done = run(*COMMAND, *arguments, "--once", "--port", "0", "--plain", env={**env, **changed})
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
