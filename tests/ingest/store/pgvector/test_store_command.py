"""``rag-pipeline store`` with a shared store."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import ExitCode
from tests.ingest.store.postgres import PostgresServer
from tests.sources.endpoint import Endpoint, endpoint
from tests.sources.local_files.process import command, found, process

pytestmark = pytest.mark.slow


@pytest.fixture
def api() -> Iterator[Endpoint]:
    with endpoint() as api:
        yield api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.txt").write_text(f"the heron number {n} stands in the reeds")
    return folder


class Machine:
    """A machine with its own state folder, and a pipeline named like the machine."""

    def __init__(self, name: str, tmp_path: Path, url: str, api: Endpoint) -> None:
        self.state = tmp_path / f"state of {name}"
        self.env = {**api.env, "RAG_STORE_URL": url, "RAG_PIPELINE_ID": name, "RAG_SETTLE_SECONDS": "0"}

    def follow(self, folder: Path) -> None:
        done = command(["local-files", str(folder), "--once", "--plain", "--state-dir", str(self.state)], self.env)
        assert done.returncode == ExitCode.OK, done.stderr

    def store(self, *args: str) -> subprocess.CompletedProcess[str]:
        done = command(["store", *args, "--state-dir", str(self.state)], self.env)
        assert "hush" not in done.stdout + done.stderr
        return done


@pytest.fixture
def machines(tmp_path: Path, folder: Path, api: Endpoint, postgres: PostgresServer, schema: str) -> tuple[Machine, ...]:
    made = tuple(Machine(name, tmp_path, postgres.url(schema=schema), api) for name in ("one", "two"))
    for machine in made:
        machine.follow(folder)
    return made


def test_pipelines_of_all_machines_are_listed(machines: tuple[Machine, Machine], folder: Path) -> None:
    listing = json.loads(machines[0].store("list", "--json").stdout)
    assert listing["store"].startswith("postgresql://127.0.0.1:")
    one, two = listing["pipelines"]
    assert (one["id"], one["files"], one["chunks"], one["source"], one["in_ledger"]) == ("one", 3, 3, str(folder), True)
    assert one["changed_at"] is not None
    assert (two["id"], two["files"], two["source"], two["in_ledger"]) == ("two", 3, None, False)


def test_check_compares_files_with_the_ledger_and_says_what_it_can_not_check(
    machines: tuple[Machine, Machine], folder: Path
) -> None:
    one = machines[0]
    done = one.store("check")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "2 pipelines, 6 files, 6 chunks: all agrees\n")
    assert done.stderr == f"note: two: its ledger is not in {one.state}: only the store was checked\n"
    (folder / "1.txt").unlink()
    done = one.store("check")
    assert done.returncode == ExitCode.DISAGREEMENT
    assert done.stdout.splitlines()[0] == "one: 1.txt: gone from the folder, but stored"


def test_drop_removes_from_store_and_ledger_also_from_another_machine(
    machines: tuple[Machine, Machine], tmp_path: Path, postgres: PostgresServer, schema: str, api: Endpoint
) -> None:
    one, _ = machines
    assert one.store("drop", "one", "--yes").stdout.startswith("removed 3 files with 3 chunks of one from postgresql:")
    assert one.store("check").stdout == "1 pipeline, 3 files, 3 chunks: all agrees\n"
    elsewhere = Machine("three", tmp_path, postgres.url(schema=schema), api)
    assert elsewhere.store("drop", "two", "--yes").returncode == ExitCode.OK
    assert not elsewhere.state.exists()
    assert elsewhere.store("list").stdout.endswith("\nno pipeline has stored anything\n")
    assert postgres.execute("SELECT FROM {}.chunks", schema) == []
    assert postgres.execute("SELECT FROM {}.owners", schema) == []


def test_a_running_pipeline_can_not_be_dropped_but_others_can(machines: tuple[Machine, Machine], folder: Path) -> None:
    one = machines[0]
    with process([str(folder), "--state-dir", str(one.state)], one.env) as running:
        running.wait(lambda state: state["status"] == "idle")
        for machine in machines:
            done = machine.store("drop", "one", "--yes")
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (ExitCode.STATE, "", 1)
            assert "the pipeline 'one' is run by " in done.stderr
            assert str(one.state) in done.stderr
        assert one.store("drop", "two", "--yes").returncode == ExitCode.OK
        assert one.store("check").returncode == ExitCode.OK
        assert one.store("compact").returncode == ExitCode.OK
        assert running.end() == 0
    assert len(found("heron", one.env, one.state)) == 3


def test_a_killed_pipeline_can_be_dropped_at_once_on_its_own_machine(
    machines: tuple[Machine, Machine], folder: Path
) -> None:
    one, two = machines
    with process([str(folder), "--state-dir", str(one.state)], one.env) as running:
        running.wait(lambda state: state["status"] == "idle")
        running.end(signal.SIGKILL)
    assert two.store("drop", "one", "--yes").returncode == ExitCode.STATE  # another machine can't know
    assert one.store("drop", "one", "--yes").returncode == ExitCode.OK


def test_compact_reports_that_the_server_vacuums(machines: tuple[Machine, Machine]) -> None:
    done = machines[0].store("compact")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout.endswith(": vacuumed and analyzed; PostgreSQL's autovacuum does the same by itself\n")


def test_the_error_for_an_empty_store_names_the_address(
    tmp_path: Path, postgres: PostgresServer, schema: str, api: Endpoint
) -> None:
    done = Machine("one", tmp_path, postgres.url(schema=schema), api).store("list")
    assert (done.returncode, done.stdout) == (ExitCode.STORE, "")
    assert f"nothing is stored in postgresql://127.0.0.1:{postgres.port}/" in done.stderr
