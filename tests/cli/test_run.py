"""Runs the command as a process with pipelines of both kinds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ExitCode
from tests.contract.checking import check_answer
from tests.drive import DriveServer
from tests.socket_server.support import request
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import Watcher, found
from tests.support.http_get import get_json
from tests.support.programs import Program, run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

COMMAND = ("-m", "rag_pipeline", "run")
SERVICE = '[service]\nport = 0\nstate_dir = "state"\n'
States = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def api() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture
def env(api: Endpoint) -> dict[str, str]:
    api.delay_seconds, api.down = 0.0, False
    return {**api.env, "RAG_SETTLE_SECONDS": "0", "RAG_CHECK_INTERVAL": "0.5"}


@pytest.fixture
def drive() -> Iterator[DriveServer]:
    with DriveServer() as server:
        yield server


def drive_env(drive: DriveServer) -> dict[str, str]:
    key = json.dumps(drive.service_account())
    return {"GOOGLE_DRIVE_CREDENTIALS_JSON": key, "GOOGLE_DRIVE_API_URL": drive.url}


def local(pipeline_id: str, folder: str) -> str:
    return f'[[pipeline]]\nkind = "local_files"\nid = "{pipeline_id}"\nfolder = "{folder}"\n'


def remote(pipeline_id: str, folder_id: str, more: str = "") -> str:
    return f'[[pipeline]]\nkind = "google_drive"\nid = "{pipeline_id}"\nfolder_id = "{folder_id}"\n{more}\n'


def file_of(folder: Path, *tables: str, service: str = SERVICE) -> str:
    path = folder / "run.toml"
    path.write_text("\n".join([service, *tables]), encoding="utf-8")
    return str(path)


def documents(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
        os.utime(folder / f"{name}.txt", (1e9, 1e9))


def port_of(running: Program) -> int:
    return int(running.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))


def states(port: int) -> States:
    body = get_json(port, "/status").body
    told: States = body.get("pipelines") or {body["pipeline_id"]: body}
    return told


def wait_for(port: int, condition: Callable[[States], object]) -> States:
    seen: list[States] = []

    def holds() -> object:
        seen[:] = [states(port)]
        return condition(seen[0])

    wait_until(holds, "the state")
    return seen[0]


def idle(told: States, *ids: str) -> bool:
    return all(told[one]["status"] == "idle" for one in ids)


def hits(question: str, env: dict[str, str], folder: Path) -> set[str]:
    return {hit["name"] for hit in found(question, env, folder / "state")}


def test_pipelines_of_both_kinds_run_in_one_process_with_separate_states(
    tmp_path: Path, env: dict[str, str], drive: DriveServer, api: Endpoint
) -> None:
    documents(tmp_path / "docs", one="the keeper of the harbour")
    documents(tmp_path / "notes", two="the cook of the harbour")
    folder_id = drive.drive.add_folder("shared")
    drive.drive.add_file("three.txt", "the pilot of the harbour", folder_id)
    file = file_of(tmp_path, local("papers", "docs"), local("notes", "notes"), remote("drive", folder_id))
    asked = len(api.texts)
    with Program(*COMMAND, file, env={**env, **drive_env(drive)}) as running:
        port = port_of(running)
        socket_io = running.expect(r"Socket\.IO +(http://127\.0\.0\.1:\d+)")
        watcher = Watcher(socket_io, "/google_drive")
        told = wait_for(port, lambda s: idle(s, "papers", "notes", "drive"))
        assert list(told) == ["papers", "notes", "drive"]
        assert [state["pipeline_type"] for state in told.values()] == ["local_files", "local_files", "google_drive"]
        assert [state["total_processed"] for state in told.values()] == [1, 1, 1]
        assert [state["folder"] for state in told.values()] == [
            str(tmp_path / "docs"),
            str(tmp_path / "notes"),
            "shared",
        ]
        # Each text once, and the one question by which a model that all share learns its dimensions.
        assert len(api.texts) - asked <= 4
        drive.drive.add_file("four.txt", "the mechanic of the harbour", folder_id)
        (tmp_path / "docs" / "one.txt").unlink()
        told = wait_for(port, lambda s: s["drive"]["total_processed"] == 2 and s["papers"]["total_deleted"] == 1)
        assert told["notes"]["total_deleted"] == 0
        wait_until(lambda: any(body.get("pipeline_id") == "drive" for _, body in watcher.events), "an event")
        running.signal(signal.SIGTERM)
        assert running.exit_code() == 0
        watcher.close()
        assert {body["pipeline_id"] for _, body in watcher.events} == {"drive"}
        assert hits("harbour", env, tmp_path) == {"two.txt", "three.txt", "four.txt"}
    assert "Traceback" not in running.output
    assert "drive   ✓ three.txt  1 chunk" in running.output
    assert "notes   1 stored, 0 failed" in running.output


def test_finished_work_is_not_repeated_after_a_kill(
    tmp_path: Path, env: dict[str, str], drive: DriveServer, api: Endpoint
) -> None:
    names = {f"n{number:02}": f"zebra document {number}" for number in range(12)}
    documents(tmp_path / "docs", **names)
    folder_id = drive.drive.add_folder("shared")
    for number in range(12):
        drive.drive.add_file(f"d{number:02}.txt", f"zebra on the drive {number}", folder_id)
    file = file_of(tmp_path, local("papers", "docs"), remote("drive", folder_id))
    api.delay_seconds = 0.1
    everything = {**env, **drive_env(drive)}
    with Program(*COMMAND, file, env=everything) as running:
        wait_for(port_of(running), lambda s: s["papers"].get("files_stored", 0) >= 4)
        running.signal(signal.SIGKILL)
        running.exit_code()
    api.delay_seconds = 0.0
    done = run(*COMMAND, file, "--once", env=everything)
    assert done.returncode == 0, done.stderr + done.stdout
    asked = len(api.texts)
    again = run(*COMMAND, file, "--once", env=everything)
    assert (again.returncode, again.stderr) == (0, "")
    assert "papers  0 stored, 0 failed, 0 skipped, 0 removed" in again.stdout
    assert "drive   0 stored, 0 failed, 0 skipped, 0 removed" in again.stdout
    assert len(api.texts) - asked <= 1
    stored = [hit["name"] for hit in found("zebra", env, tmp_path / "state")]
    assert sorted(stored) == sorted([f"n{n:02}.txt" for n in range(12)] + [f"d{n:02}.txt" for n in range(12)])


def test_a_failed_pipeline_does_not_stop_the_others(tmp_path: Path, env: dict[str, str], drive: DriveServer) -> None:
    documents(tmp_path / "docs", one="the lighthouse keeper")
    drive.grants.revoke()
    file = file_of(tmp_path, remote("drive", drive.drive.root_id), local("papers", "docs"), local("usb", "stick"))
    with Program(*COMMAND, file, env={**env, **drive_env(drive)}) as running:
        port = port_of(running)
        told = wait_for(port, lambda s: idle(s, "papers") and s["drive"]["status"] == s["usb"]["status"] == "error")
        assert "the folder can't be read" in told["usb"]["message"]
        assert told["usb"]["next_check_time"] is not None
        assert "Google refuses the key" in told["drive"]["message"]
        running.expect(r"rag-pipeline: error: drive: Google refuses the key")
        # What passes by itself is waited for.
        documents(tmp_path / "stick", two="the submarine cook")
        documents(tmp_path / "docs", three="the balloon pilot")
        told = wait_for(port, lambda s: s["usb"]["total_processed"] == 1 and s["papers"]["total_processed"] == 2)
        running.expect("usb +✓ goes on")
        running.signal(signal.SIGINT)
        assert running.exit_code() == 0
    assert "Traceback" not in running.output


def test_the_command_ends_when_all_pipelines_have_failed(tmp_path: Path, env: dict[str, str]) -> None:
    done = run(*COMMAND, file_of(tmp_path, remote("a", "1a"), remote("b", "1b")), env=env)
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 2)
    for name in ("a", "b"):
        assert f"rag-pipeline: error: {name}: no credentials for Google Drive" in done.stderr


def test_the_exit_code_of_single_passes_is_that_of_a_failure(tmp_path: Path, env: dict[str, str]) -> None:
    documents(tmp_path / "docs", one="the lighthouse keeper")
    file = file_of(tmp_path, local("papers", "docs"), local("usb", "stick"))
    done = run(*COMMAND, file, env={**env, "RUN_MODE": "single"})
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert "rag-pipeline: error: usb: " in done.stderr
    assert "papers  1 stored, 0 failed" in done.stdout
    documents(tmp_path / "stick", bad="")
    (tmp_path / "stick" / "bad.pdf").write_bytes(b"%PDF-1.7\nno PDF")
    done = run(*COMMAND, file, "--once", env=env)
    assert (done.returncode, done.stderr) == (ExitCode.FILES_FAILED, "")


def test_a_file_can_be_checked_without_being_run(tmp_path: Path, env: dict[str, str]) -> None:
    documents(tmp_path / "docs", one="x")
    good = run(*COMMAND, file_of(tmp_path, local("papers", "docs")), "--check", env=env)
    assert (good.returncode, good.stdout) == (0, f"{tmp_path}/run.toml: 1 pipeline, nothing wrong\n")
    assert not (tmp_path / "state").exists()
    file = file_of(tmp_path, local("papers", "docs"), local("usb", "stick"), remote("drive", "1a"))
    bad = run(*COMMAND, file, "--check", env=env)
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (ExitCode.USAGE, "", 2)
    assert f"{file}: usb: folder=" in bad.stderr
    assert f"{file}: drive: no credentials" in bad.stderr
    wrong = run(*COMMAND, file_of(tmp_path, local("papers", "docs"), "workers = 99"), "--check", env=env)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert "[[pipeline]] 1 (papers): workers=99: expected" in wrong.stderr


def test_a_locked_state_folder_is_an_error_that_names_the_key(tmp_path: Path, env: dict[str, str]) -> None:
    documents(tmp_path / "docs", one="x")
    file = file_of(tmp_path, local("papers", "docs"))
    with Program(*COMMAND, file, env=env) as running:
        port_of(running)
        second = run(*COMMAND, file, env=env)
        assert (second.returncode, second.stderr.count("\n")) == (ExitCode.STATE, 1)
        assert "is in use by process" in second.stderr
    (tmp_path / "plain").write_text("")
    third = run(*COMMAND, file_of(tmp_path, local("papers", "docs"), service='[service]\nstate_dir = "plain"'), env=env)
    assert (third.returncode, third.stderr.count("\n")) == (ExitCode.STATE, 1)
    assert "run.toml: [service]: state_dir=" in third.stderr


# -- under control -----------------------------------------------------------------------------------------------------


def post(port: int, path: str) -> tuple[int, dict[str, Any]]:
    status, headers, text = request(port, path, "POST")
    check_answer(path, status, headers, text, "POST")
    return status, json.loads(text)


def test_each_pipeline_is_controlled_separately_over_http_and_by_command(
    tmp_path: Path, env: dict[str, str], drive: DriveServer
) -> None:
    documents(tmp_path / "docs", one="the lighthouse keeper")
    folder_id = drive.drive.add_folder("shared")
    slow = {**env, **drive_env(drive), "STATUS_CONTROL": "1"}
    file = file_of(tmp_path, local("papers", "docs"), remote("drive", folder_id, "check_interval = 3600"))
    with Program(*COMMAND, file, env=slow) as running:
        port = port_of(running)
        url = f"http://127.0.0.1:{port}"
        wait_for(port, lambda s: idle(s, "papers", "drive"))
        assert get_json(port, "/health").body["pipelines"]["drive"]["actions"] == [
            "check",
            "confirm",
            "pause",
            "postpone",
            "resume",
            "retry",
        ]
        assert post(port, "/control/papers/pause")[0] == 202
        wait_for(port, lambda s: s["papers"]["status"] == "paused")
        documents(tmp_path / "docs", two="the submarine cook")
        drive.drive.add_file("three.txt", "the balloon pilot", folder_id)
        asked = run("-m", "rag_pipeline", "control", url, "drive", "check")
        assert (asked.returncode, asked.stdout) == (0, "drive: asked to check\n")
        told = wait_for(port, lambda s: s["drive"]["total_processed"] == 1)
        assert (told["papers"]["status"], told["papers"]["total_processed"]) == ("paused", 1)
        asked = run("-m", "rag_pipeline", "control", url, "papers", "resume")
        assert (asked.returncode, asked.stdout) == (0, "papers: asked to resume\n")
        wait_for(port, lambda s: s["papers"]["total_processed"] == 2 and idle(s, "papers"))
        running.expect("papers +– paused")
        running.signal(signal.SIGTERM)
        assert running.exit_code() == 0


def test_a_failed_file_is_retried_on_request(tmp_path: Path, env: dict[str, str], api: Endpoint) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bad.pdf").write_bytes(b"%PDF-1.7\nno PDF")
    file = file_of(tmp_path, local("papers", "docs"))
    with Program(*COMMAND, file, env={**env, "STATUS_CONTROL": "1"}) as running:
        port = port_of(running)
        wait_for(port, lambda s: s["papers"]["total_failed"] == 1 and idle(s, "papers"))
        assert post(port, "/control/papers/retry?file=none.pdf")[0] == 409
        assert post(port, "/control/papers/retry?file=bad.pdf")[0] == 202
        told = wait_for(port, lambda s: [f["attempt"] for f in s["papers"]["files_failed"]] == [2])
        assert told["papers"]["total_failed"] == 1
        refused = run("-m", "rag_pipeline", "control", f"http://127.0.0.1:{port}", "retry", "none.pdf")
        assert (refused.returncode, refused.stderr.count("\n")) == (ExitCode.REFUSED, 1)


def test_a_postponed_file_is_processed_after_the_others(tmp_path: Path, env: dict[str, str], api: Endpoint) -> None:
    documents(tmp_path / "docs", a="one walrus", b="another walrus", c="the third walrus")
    api.delay_seconds = 0.5
    file = file_of(tmp_path, local("papers", "docs") + "workers = 1\n")
    with Program(*COMMAND, file, env={**env, "STATUS_CONTROL": "1"}) as running:
        port = port_of(running)
        wait_for(port, lambda s: [f["id"] for f in s["papers"]["files_processing"]] == ["a.txt"])
        assert post(port, "/control/papers/postpone?file=a.txt")[0] == 202
        told = wait_for(port, lambda s: s["papers"]["total_processed"] == 3 and idle(s, "papers"))
        assert [file["id"] for file in told["papers"]["files_completed"]] == ["b.txt", "c.txt", "a.txt"]
        assert told["papers"]["total_failed"] == 0
    assert hits("walrus", env, tmp_path) == {"a.txt", "b.txt", "c.txt"}


def test_control_is_refused_if_it_is_not_enabled(tmp_path: Path, env: dict[str, str]) -> None:
    documents(tmp_path / "docs", one="x")
    with Program(*COMMAND, file_of(tmp_path, local("papers", "docs")), env=env) as running:
        port = port_of(running)
        wait_for(port, lambda s: idle(s, "papers"))
        assert post(port, "/control/papers/pause")[0] == 403
        assert states(port)["papers"]["status"] == "idle"
    wrong = run(*COMMAND, file_of(tmp_path, local("papers", "docs")), env={**env, "STATUS_CONTROL": "maybe"})
    assert (wrong.returncode, wrong.stderr) == (
        ExitCode.USAGE,
        "rag-pipeline: error: STATUS_CONTROL='maybe': expected 1 or 0\n",
    )
