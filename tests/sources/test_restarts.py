"""A restarted command resumes where the last process ended, however it ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drive import DriveServer
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.restarts import Command, Service
from tests.support.http_get import get_json
from tests.support.programs import run

pytestmark = pytest.mark.slow

BROKEN = b"%PDF-1.7\nthis is no PDF"
COMMANDS = ("local-files", "google-drive", "run")


@pytest.fixture
def api() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, api: Endpoint, tmp_path: Path) -> Iterator[Command]:
    with DriveServer() as server:
        yield Command(request.param, tmp_path, api.env, server)


def idle(state: dict[str, Any]) -> bool:
    return bool(state["status"] == "idle" and state["files_in_flight"] == 0)


def tries(state: dict[str, Any]) -> int:
    """Return the attempts of the file that failed last."""
    return max((file["attempt"] for file in state["files_failed"]), default=0)


def test_single_passes_over_one_state_folder_continue_totals_seq_and_attempts(command: Command) -> None:
    for name in ("one.txt", "two.txt"):
        command.write(name, f"the lighthouse keeper of {name}")
    command.write("bad.pdf", BROKEN)
    command.write("packed.gz", b"\x1f\x8b\x08" + b"\0" * 64)
    assert command.single() == 1
    with command.program() as program:
        service = Service(program)
        first = service.wait(lambda s: idle(s) and tries(s) == 2, command.ids, "the second try")
        service.end()
    command.write("three.txt", "the submarine cook")
    assert command.single() == 1
    with command.program() as program:
        service = Service(program)
        second = service.wait(lambda s: idle(s) and tries(s) == 4, command.ids, "the fourth try")
        for one in command.ids:
            before, after = first[one], second[one]
            assert (before["total_processed"], after["total_processed"]) == (2, 3)
            assert (before["total_skipped"], after["total_skipped"]) == (1, 1)
            assert after["epoch"] == before["epoch"]
            assert after["seq"] > before["seq"] > 4
            assert [file["name"] for file in after["files_completed"]] == [
                *[file["name"] for file in before["files_completed"]],
                "three.txt",
            ]
            assert after["files_failed"][-1]["name"] == "bad.pdf"


def test_files_in_flight_at_a_kill_are_counted_as_interrupted_and_retried(command: Command, api: Endpoint) -> None:
    for number in range(3):
        command.write(f"done {number}.txt", f"the lighthouse keeper {number}")
    with command.program() as program:
        service = Service(program)
        service.wait(lambda s: idle(s) and s["total_processed"] == 3, command.ids, "the first files")
        api.hold = "submarine"
        for number in range(4):
            command.write(f"new {number}.txt", f"the submarine cook {number}")
        service.wait(lambda s: _embedding(s) == 2 and s["files_queued"] == 2, command.ids, "two files in flight")
        before = service.states()
        in_flight = {one: {file["name"] for file in service.files(one, "processing")} for one in command.ids}
        assert all(len(names) == 2 for names in in_flight.values())
        service.kill()
    with command.program() as program:
        service = Service(program)
        service.wait(lambda s: _embedding(s) == 2, command.ids, "the next try")
        service.kill()
    api.hold = None
    with command.program() as program:
        service = Service(program)
        states = service.wait(lambda s: idle(s) and s["total_processed"] == 7, command.ids, "the end of the work")
        for one in command.ids:
            assert states[one]["epoch"] == before[one]["epoch"]
            assert service.files(one, "processing") == service.files(one, "failed") == []
            attempts = {file["name"]: file["attempt"] for file in service.files(one, "completed")}
            # Files interrupted by the first kill come last at the second start, so the second kill interrupts others.
            new = {f"new {number}.txt" for number in range(4)}
            assert attempts == dict.fromkeys(new, 2) | {f"done {number}.txt": 1 for number in range(3)}
            interruptions = [name for name, _ in _interruptions(service, one)]
            assert [set(interruptions[:2]), set(interruptions[2:4])] == [in_flight[one], new - in_flight[one]]
            assert [total for _, total in _interruptions(service, one)[:2]] == [1, 2]
            assert states[one]["total_failed"] == 0
        service.end()


TWO_SERVERS = """
import sys
from rag_pipeline import PipelineStatus, start_status_server

pipeline = PipelineStatus("local_files")  # its id is assigned by its first report
with start_status_server(0, state_dir=sys.argv[1]), start_status_server(0):
    pipeline.add_processing_file(f"lost {sys.argv[2]}.txt")
    pipeline.complete_file(f"{sys.argv[2]}.txt")
    state = pipeline.get()
    print(state["epoch"], state["seq"], state["total_processed"], len(pipeline.interrupted), flush=True)
"""


def test_with_two_servers_in_one_process_a_journal_is_resumed(tmp_path: Path) -> None:
    outputs = []
    for number in range(3):
        done = run("-c", TWO_SERVERS, str(tmp_path / "state"), str(number))
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.split())
    assert len({epoch for epoch, *_ in outputs}) == 1
    assert [processed for _, _, processed, _ in outputs] == ["1", "2", "3"]
    assert [interrupted for *_, interrupted in outputs] == ["0", "1", "1"]
    numbers = [int(seq) for _, seq, _, _ in outputs]
    assert numbers == sorted(set(numbers))


def _embedding(state: dict[str, Any]) -> int:
    return sum(file["stage"] == "embedding" for file in state["files_processing"])


def _interruptions(service: Service, pipeline_id: str) -> list[tuple[str, int]]:
    """Return the files that failed as interrupted, with the total of failed files in each event."""
    found: list[tuple[str, int]] = []
    since = ""
    while True:
        page = get_json(service.port, f"/events?limit=1000{since}").body
        for event in page["events"]:
            body = event["data"]
            if event["event"] == "pipeline:file_failed" and body["pipeline_id"] == pipeline_id:
                assert body["file"]["error"]["type"] == "Interrupted"
                found.append((body["file"]["name"], body["totals"]["total_failed"]))
        if not page["more"]:
            return found
        since = f"&since={page['next']}"
