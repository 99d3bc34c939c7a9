"""Errors that do not concern a single file delete nothing from the store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rag_pipeline.sources.google_drive.source import PERSON_SECONDS
from rag_pipeline.status.control import Action
from tests.drive import DriveServer, error, slow
from tests.drive.faults import Fault, foreign
from tests.sources.google_drive.pipeline_run import PipelineRun, run_pipeline

pytestmark = pytest.mark.slow

FILES = 6
REFUSALS = [
    *(error(403, reason) for reason in ("forbidden", "accessNotConfigured", "domainPolicy", "somethingNew")),
    *(error(403, reason) for reason in ("CONSUMER_SUSPENDED", "BILLING_DISABLED", "SECURITY_POLICY_VIOLATED")),
    *(error(400, reason) for reason in ("failedPrecondition", "badRequest")),
    error(404, "domainNotFound"),
    foreign(403),
]


@pytest.fixture
def top(server: DriveServer) -> str:
    return server.drive.add_folder("Papers")


def lost(run: PipelineRun) -> tuple[list[str], list[str], list[str]]:
    """Return the ids of the failed, skipped and deleted files."""
    return run.ended("failed"), run.ended("skipped"), run.ended("deleted")


def wait_for_trouble(run: PipelineRun) -> str:
    run.wait(lambda: bool(run.state()["status"] == "error"))
    return str(run.state()["message"])


# -- Refusals that do not concern a single file -----------------------------------------------------------------------


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.name)
def test_downloads_refused_for_the_whole_project_are_retried_later(
    server: DriveServer, top: str, tmp_path: Path, fault: Fault
) -> None:
    files = [server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(FILES)]
    document = server.drive.add_doc("Plan", "old", top)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=FILES + 1)
        before = run.store.texts()
        for operation in ("media", "files.export", "export_link"):
            server.faults.add(fault, operation, times=None)
        for key in files:
            server.drive.set_content(key, f"new {key}")
        server.drive.set_text(document, "new")
        assert wait_for_trouble(run)
        tried = server.requests.count("media") + server.requests.count("files.export")
        run.wait(lambda: server.requests.count("media") + server.requests.count("files.export") >= tried + 20)
        assert run.store.texts() == before
        assert lost(run) == ([], [], [])
        assert not any(row.attempts for row in run.rows().values())
        server.faults.clear()
        expected = {key: [f"new {key}"] for key in files} | {document: ["new"]}
        run.wait(lambda: run.store.texts() == expected and run.state()["status"] == "idle")
        assert lost(run) == ([], [], [])


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.name)
def test_requests_refused_for_the_whole_project_are_retried_even_at_the_first_start(
    server: DriveServer, top: str, tmp_path: Path, fault: Fault
) -> None:
    server.faults.add(fault, None, times=None)
    key = server.drive.add_file("a.txt", "one", server.drive.add_folder("sub", top))
    with run_pipeline(tmp_path, server, top) as run:
        assert wait_for_trouble(run)
        server.faults.clear()
        run.wait_idle(processed=1)
        server.faults.add(fault, None, times=None)
        assert wait_for_trouble(run)
        server.faults.clear()
        run.wait(lambda: bool(run.state()["status"] == "idle"))
        assert (run.store.texts(), lost(run)) == ({key: ["one"]}, ([], [], []))


def test_an_unknown_refusal_of_one_file_does_not_block_the_others(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    files = sorted(server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(FILES))
    server.faults.add(error(403, "somethingNew"), "media", file=files[0], times=None)
    server.faults.add(slow(0.1), "media", times=None)
    with run_pipeline(tmp_path, server, top, workers=1) as run:
        run.wait(lambda: set(run.store.texts()) == set(files[1:]))
        # The first scan found it first, the next scan last.
        assert server.requests.count("changes.list") <= 3
        assert "somethingNew" in wait_for_trouble(run)
        server.faults.clear()
        run.wait(lambda: set(run.store.texts()) == set(files))


def test_a_revoked_grant_is_retried_at_the_longest_interval_and_says_what_to_do(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=1)
        server.grants.revoke()
        server.grants.expire_access_tokens()
        said = wait_for_trouble(run)
        assert said.startswith("Google refuses the key of pipeline@tests.iam.gserviceaccount.com")
        state = run.state()
        wait = datetime.fromisoformat(state["next_check_time"]) - datetime.fromisoformat(state["last_check_time"])
        assert wait.total_seconds() == pytest.approx(PERSON_SECONDS, abs=5)
        assert run.store.texts() == {key: ["one"]}
        server.grants.restore()
        server.drive.set_content(key, "two")
        assert run.status.control is not None
        run.status.control.ask(Action.CHECK)
        run.wait(lambda: run.store.texts() == {key: ["two"]} and run.state()["status"] == "idle")
        assert lost(run) == ([], [], [])
