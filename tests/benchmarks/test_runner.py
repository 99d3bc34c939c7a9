"""The benchmark runner, proved on its smallest case: real processes, a real compiled client."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.lib import report
from benchmarks.lib.cases import all_cases
from benchmarks.lib.client import CountingClient, Crowd
from benchmarks.lib.measure import cpu_seconds, rss_bytes
from benchmarks.lib.process import ROOT, BenchmarkError, JsonProcess
from benchmarks.lib.report import Row
from benchmarks.lib.server import Server
from benchmarks.lib.workload import Load, counted, emit, running
from benchmarks.run import main
from tests.support.processes import child_processes, is_alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 60.0
"""The deadline of each wait."""

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing: the client is not compiled")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "benchmarks/node_modules/socket.io").is_dir(),
    reason="node or its packages are missing: npm ci --prefix benchmarks",
)


@needs_compiler
def test_the_smallest_case_runs_and_writes_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases", "smoke", "--servers", "eventlet", "--out", str(tmp_path / "results.json")]) == 0

    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["figures"]["delivered"] == row["figures"]["expected"] == 5 * 20
    assert row["figures"]["out_of_order"] == 0
    assert row["figures"]["cpu_seconds"] > 0
    assert "| smoke | eventlet |" in (tmp_path / "RESULTS.md").read_text()
    assert "smoke" in capsys.readouterr().out


@needs_compiler
@needs_node
def test_the_node_peer_serves_both_transports() -> None:
    with running("node", Crowd(websocket=3, polling=3)) as (server, client):
        emit(server, client, Load(30))
        figures = counted(client)
    assert figures["delivered"] == figures["polling_delivered"] == 90


@needs_compiler
def test_polling_clients_get_every_event_of_an_even_pace() -> None:
    with running("eventlet", Crowd(polling=4)) as (server, client):
        emit(server, client, Load(40, per_second=200))
        figures = counted(client)
    assert figures["polling_delivered"] == figures["polling_expected"] == 160
    assert figures["polling_out_of_order"] == 0


@needs_compiler
def test_frames_cut_into_many_reads_by_a_tiny_buffer_are_all_counted() -> None:
    with running("eventlet", Crowd(websocket=3, receive_buffer_bytes=2048)) as (server, client):
        emit(server, client, Load(50, size=20_000))
        figures = counted(client)
    assert figures["delivered"] == 150
    assert (figures["event_bytes"] or 0) > 19_900


@needs_compiler
def test_a_stalled_client_is_not_waited_for() -> None:
    with running("eventlet", Crowd(websocket=2, stalled=1)) as (server, client):
        emit(server, client, Load(20))
        figures = counted(client)
    assert figures["delivered"] == figures["expected"] == 40
    assert figures["stalled_disconnected"] == 0


@needs_compiler
def test_missing_repeated_and_foreign_events_are_told_apart() -> None:
    with running("eventlet", Crowd(websocket=1)) as (server, client):
        client.begin(0, 10)
        for first, count in ((0, 4), (2, 1), (6, 4), (50, 1)):
            server.start("burst", first=first, count=count, size=300)
            server.finish(SECONDS)
        assert client.wait_done(SECONDS)
        tally = _eventually(client, "stray", 1)
    assert (tally["received"], tally["gaps"], tally["repeated"], tally["stray"]) == (8, 2, 1, 1)


def _eventually(client: CountingClient, key: str, value: int) -> dict[str, int]:
    deadline = time.monotonic() + SECONDS
    while True:
        tally: dict[str, int] = client.report()["websocket"]
        if tally[key] == value or time.monotonic() > deadline:
            return tally


@needs_compiler
def test_a_client_that_is_refused_is_an_error_that_says_so() -> None:
    with Server("eventlet") as server:
        port = server.port
    with CountingClient(port, Crowd(websocket=1)) as client, pytest.raises(BenchmarkError, match="refused"):
        client.wait_ready(SECONDS)


def test_every_process_is_gone_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), Server("eventlet") as server:
        raise ZeroDivisionError
    wait_until(lambda: not is_alive(server.pid), seconds=SECONDS)


def test_a_process_that_ignores_the_end_of_stdin_is_killed() -> None:
    with JsonProcess("stubborn", ["sleep", "60"]) as process:
        assert process.receive(0.05) is None
    wait_until(lambda: not is_alive(process.pid), seconds=SECONDS)


def test_a_process_that_ends_shows_its_last_words() -> None:
    with (
        JsonProcess("shell", ["sh", "-c", "echo no luck >&2; sleep 0.1"]) as process,
        pytest.raises(BenchmarkError, match="shell ended: no luck"),
    ):
        process.expect("ready", True, 10)


@pytest.mark.parametrize("arguments", [["--cases", "nonsense"], ["--servers", "apache"]])
def test_an_unknown_name_is_an_error_of_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_cpu_and_memory_of_this_process_are_plausible() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(300_000))
    assert 0 < before < cpu_seconds(os.getpid())
    assert 1_000_000 < rss_bytes(os.getpid()) < 10_000_000_000


def test_ratios_compare_neighbours_in_time() -> None:
    case = all_cases()["smoke"]
    rows = [
        Row("smoke", server, repetition, {"messages_per_cpu_second": value})
        for repetition, pair in enumerate([(100.0, 20.0), (50.0, 5.0), (60.0, 15.0)])
        for server, value in zip(("ours", "node"), pair, strict=True)
    ]
    assert sorted(report.ratios_of(rows, "smoke", "ours")) == [4.0, 5.0, 10.0]
    (ours, _) = report.table(rows, [case])
    assert ours[3] == "5.00 (4.00–10.00)"


@pytest.mark.skipif(importlib.util.find_spec("eventlet") is None, reason="eventlet is missing")
def test_every_case_names_servers_that_exist() -> None:
    for quick in (False, True):
        for case in all_cases(quick=quick).values():
            assert case.servers
            assert case.repetitions >= 1


@needs_compiler
def test_an_interrupted_run_ends_its_servers_and_shows_what_it_has(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks.run", "--cases", "smoke,stalled_0", "--servers", "eventlet"]
    with subprocess.Popen(
        [*command, "--out", str(out)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stderr is not None
        assert runner.stderr.readline().startswith("smoke 1/1 eventlet")
        wait_until(lambda: len(child_processes(runner.pid)) == 2, seconds=SECONDS)
        processes = child_processes(runner.pid)
        runner.send_signal(signal.SIGINT)
        runner.communicate(timeout=SECONDS)
    assert runner.returncode == 130
    assert [row["case"] for row in json.loads(out.read_text())["rows"]] == ["smoke"]
    wait_until(lambda: not any(is_alive(pid) for pid in processes), seconds=SECONDS)


def test_a_folder_for_the_figures_that_is_not_there_is_said_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "missing" / "results.json")]) == 2
    assert capsys.readouterr().err == f"benchmarks: --out {tmp_path}/missing/results.json: there is no such folder\n"
