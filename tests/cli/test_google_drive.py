"""Runs the command as a process against a simulated Drive."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from rag_pipeline.errors import ExitCode
from tests.drive import ELSEWHERE, DriveServer, slow
from tests.sources.endpoint import endpoint
from tests.support.http_get import get_json
from tests.support.programs import Program, run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

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


def test_one_pass_stores_all_files_and_the_next_downloads_nothing(drive: DriveServer, env: dict[str, str]) -> None:
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
        wait_until(lambda: get_json(port, "/status").body["total_processed"] >= 5, "some files")
        program.signal(signal.SIGKILL)
        program.exit_code()
    with Program(*COMMAND, "--folder-id", folder_id, "--port", "0", "--plain", env=env) as program:
        port = int(program.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))
        wait_until(lambda: get_json(port, "/status").body["status"] == "idle", "the end of the work")
        state = get_json(port, "/status").body
    assert state["files_stored"] == 30
    assert state["pipeline_type"] == "google_drive"


@pytest.mark.parametrize(("number", "once", "code"), [(signal.SIGTERM, False, 0), (signal.SIGINT, True, 130)])
def test_a_signal_stops_it_cleanly_and_the_next_start_continues(
    drive: DriveServer, env: dict[str, str], tmp_path: Path, number: int, once: bool, code: int
) -> None:
    folder_id = drive.drive.add_folder("shared")
    for index in range(10):
        drive.drive.add_file(f"{index}.txt", f"the keeper of lighthouse {index}", folder_id)
    drive.faults.add(slow(0.3), "media", times=None)
    once_or_not = ["--once"] if once else []
    with Program(*COMMAND, "--folder-id", folder_id, "--port", "0", "--plain", *once_or_not, env=env) as program:
        port = int(program.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))
        wait_until(lambda: get_json(port, "/status").body["total_processed"] >= 1, "a file")
        program.signal(number)
        assert program.exit_code() == code
    assert "Traceback" not in program.output
    assert "stopping …" in program.output
    assert list((tmp_path / "state").glob("downloads-*/*")) == []
    drive.faults.clear()
    done = run(*COMMAND, "--folder-id", folder_id, "--once", "--port", "0", "--plain", env=env)
    assert done.returncode == 0, done.stderr
    found = run("-m", "rag_pipeline", "search", "keeper of lighthouse", "--json", "--limit", "100", env=env)
    hits = json.loads(found.stdout)
    assert sorted(hit["name"] for hit in hits) == [f"{index}.txt" for index in range(10)]
    assert all(hit["uri"].startswith("https://drive.google.com/file/d/") for hit in hits)


def test_sign_in_works_once_and_a_revoked_grant_says_what_to_do(
    drive: DriveServer, env: dict[str, str], tmp_path: Path
) -> None:
    folder_id = drive.drive.add_folder("shared")
    drive.drive.add_file("one.txt", "the lighthouse keeper", folder_id)
    client = tmp_path / "client.json"
    client.write_text(json.dumps(drive.client_secrets()))
    person = {**env, KEY: "", "GOOGLE_DRIVE_OAUTH_CLIENT": str(client)}
    arguments = (*COMMAND, "--folder-id", folder_id, "--once", "--port", "0", "--plain")

    before = run(*arguments, env=person)
    assert (before.returncode, before.stderr.count("\n")) == (ExitCode.ACCESS, 1)
    assert "run rag-pipeline google-drive --sign-in" in before.stderr

    with Program(*COMMAND, "--sign-in", env=person) as program:
        address = program.expect(r"(http://127\.0\.0\.1:\d+/consent\S+)")
        assert requests.get(address, timeout=30).status_code == 200
        assert program.exit_code() == 0, program.output
    token = tmp_path / "state" / "google-drive-token.json"
    assert f"is kept in {token}" in program.output
    assert token.stat().st_mode & 0o777 == 0o600
    done = run(*arguments, env=person)
    assert (done.returncode, "one.txt" in done.stdout) == (0, True), done.stderr

    drive.grants.revoke()
    drive.grants.expire_access_tokens()
    after = run(*arguments, env=person)
    assert after.returncode == ExitCode.ACCESS
    assert after.stderr == (
        "rag-pipeline: error: the sign-in to Google Drive was revoked or has expired: "
        "run rag-pipeline google-drive --sign-in\n"
    )


def test_a_hidden_folder_or_a_file_instead_is_one_line(drive: DriveServer, env: dict[str, str]) -> None:
    hidden = drive.drive.add_folder("hidden", ELSEWHERE)
    file = drive.drive.add_file("a.txt", "x")
    unseen = "the folder is not there, or not shared with these credentials"
    share = "it can be shared with pipeline@tests.iam.gserviceaccount.com"
    for folder_id, said in (
        (hidden, f"Google Drive folder {hidden}: {unseen} ({share})"),
        (file, f"{file} is not a folder but 'a.txt' (text/plain)"),
    ):
        done = run(*COMMAND, "--folder-id", folder_id, "--port", "0", "--plain", env=env)
        assert done.returncode == ExitCode.USAGE
        assert done.stderr == f"rag-pipeline: error: {said}\n"


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        ([], {}, "RAG_WATCH_FOLDER_ID"),
        (["--folder-id", "x"], {"GOOGLE_DRIVE_CREDENTIALS_JSON": "{"}, "GOOGLE_DRIVE_CREDENTIALS_JSON"),
        (["--folder-id", "x"], {"GOOGLE_DRIVE_CREDENTIALS_JSON": ""}, "no credentials for Google Drive"),
        (
            ["--folder-id", "x"],
            {"GOOGLE_DRIVE_CREDENTIALS_JSON": "", "GOOGLE_APPLICATION_CREDENTIALS": "/nope"},
            "GOOGLE_APPLICATION_CREDENTIALS=/nope",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(
    env: dict[str, str], arguments: list[str], changed: dict[str, str], said: str
) -> None:
    done = run(*COMMAND, *arguments, "--once", "--port", "0", "--plain", env={**env, **changed})
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
