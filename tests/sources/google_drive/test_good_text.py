"""Good text is never lost: what Drive refuses for reasons that are not a file's takes nothing out of the store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rag_pipeline.sources.google_drive.source import PERSON_SECONDS
from rag_pipeline.status.control import Action
from tests.drive import DriveServer, error, slow
from tests.drive.faults import Fault, foreign
from tests.sources.google_drive.running import Run, running

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


def lost(run: Run) -> tuple[list[str], list[str], list[str]]:
    """Return the ids of the files that were shown as failed, skipped and deleted."""
    return run.ended("failed"), run.ended("skipped"), run.ended("deleted")


def wait_for_trouble(run: Run) -> str:
    run.wait(lambda: bool(run.state()["status"] == "error"))
    return str(run.state()["message"])


# -- Refusals that are no file's ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.name)
def test_contents_that_are_refused_for_a_reason_that_is_no_file_s_are_waited_for(
    server: DriveServer, top: str, tmp_path: Path, fault: Fault
) -> None:
    files = [server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(FILES)]
    document = server.drive.add_doc("Plan", "old", top)
    with running(tmp_path, server, top) as run:
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
def test_requests_that_are_all_refused_are_waited_for_also_at_the_first_start(
    server: DriveServer, top: str, tmp_path: Path, fault: Fault
) -> None:
    server.faults.add(fault, None, times=None)
    key = server.drive.add_file("a.txt", "one", server.drive.add_folder("sub", top))
    with running(tmp_path, server, top) as run:
        assert wait_for_trouble(run)
        server.faults.clear()
        run.wait_idle(processed=1)
        server.faults.add(fault, None, times=None)
        assert wait_for_trouble(run)
        server.faults.clear()
        run.wait(lambda: bool(run.state()["status"] == "idle"))
        assert (run.store.texts(), lost(run)) == ({key: ["one"]}, ([], [], []))


def test_a_refusal_that_is_one_file_s_alone_after_all_does_not_keep_the_others_from_their_turn(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    files = sorted(server.drive.add_file(f"{number}.txt", f"{number}", top) for number in range(FILES))
    server.faults.add(error(403, "somethingNew"), "media", file=files[0], times=None)
    server.faults.add(slow(0.1), "media", times=None)
    with running(tmp_path, server, top, workers=1) as run:
        run.wait(lambda: set(run.store.texts()) == set(files[1:]))
        # The first look found it first, the next one last.
        assert server.requests.count("changes.list") <= 3
        assert "somethingNew" in wait_for_trouble(run)
        server.faults.clear()
        run.wait(lambda: set(run.store.texts()) == set(files))


def test_a_grant_that_is_revoked_is_waited_for_at_the_longest_interval_and_says_what_to_do(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with running(tmp_path, server, top) as run:
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
