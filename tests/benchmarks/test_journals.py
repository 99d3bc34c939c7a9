"""The benchmark's servers with a journal, and clients that resume: each on a tiny scale, with real processes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lib import report
from benchmarks.lib.cases import Case, all_cases, fan_out, mutation
from benchmarks.lib.client import CountingClient, Crowd
from benchmarks.lib.process import BenchmarkError
from benchmarks.lib.redis import PROGRAMS, RedisServer
from benchmarks.lib.replay import replay
from benchmarks.lib.report import Row
from benchmarks.lib.server import JOURNALS, PEERS, Server
from benchmarks.lib.workload import Load, emit, running

pytestmark = pytest.mark.slow

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing: the client is not compiled")
needs_redis = pytest.mark.skipif(not any(map(shutil.which, PROGRAMS)), reason="there is no redis-server")
each_journal = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs_redis] if name == "ours_redis" else []) for name in JOURNALS]
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that is empty again at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("rag-pipeline-journal-")]


@needs_compiler
@each_journal
def test_a_server_with_each_journal_delivers_and_leaves_nothing_behind(name: str, temporary: Path) -> None:
    figures = fan_out(3, Load(20))(name)
    assert figures["delivered"] == figures["expected"] == 60
    assert figures["out_of_order"] == 0
    assert ("redis_cpu_seconds" in figures) == (name == "ours_redis")


@needs_compiler
@each_journal
def test_a_mutation_is_timed_with_each_journal(name: str, temporary: Path) -> None:
    figures = mutation(2, 20)(name)
    assert (figures["mutation_median_us"] or 0) > 0
    assert figures["delivered"] == 40


@needs_compiler
@each_journal
def test_clients_that_were_away_get_all_they_missed_and_what_comes_meanwhile(name: str, temporary: Path) -> None:
    figures = replay(3, 100, 0.5)(name)
    # Of the first replay 100 events for each; of the second half of them, and those of two seconds.
    assert figures["delivered"] == figures["expected"] == 3 * (100 + 50 + 40)
    wrong = ("out_of_order", "disconnected", "not_recovered", "recovered_early", "live_lost")
    assert [figures[key] for key in wrong] == [0] * len(wrong)
    assert figures["replay_seconds"]
    assert figures["messages_per_cpu_second"]
    assert "p99_ms" not in figures
    assert figures["live_p99_ms"]
    assert figures["alone_p99_ms"]


@needs_compiler
def test_a_client_that_can_not_resume_is_not_taken_for_one_that_did() -> None:
    with running("ours", Crowd(websocket=1)) as (server, live):
        emit(server, live, Load(10))
        with CountingClient(server.port, Crowd(websocket=2, resume_from="another-journal-1")) as client:
            client.begin(0, 10, missed=10)
            # Each has its snapshot, and perhaps the status that follows the events.
            told = _once(client, lambda told: told["websocket"]["others"] >= 2)
    assert told["recovered"] == told["websocket"]["received"] == 0


@needs_compiler
def test_a_replay_without_its_beginning_counts_what_is_missing() -> None:
    with running("ours", Crowd(websocket=1)) as (server, live):
        emit(server, live, Load(10))
        third = server.get("/events?limit=3")["next"]
        with CountingClient(server.port, Crowd(websocket=2, resume_from=third)) as client:
            client.begin(0, 10, missed=10)
            assert client.wait_done(10)
            told = client.report()
    assert (told["websocket"]["gaps"], told["websocket"]["received"], told["recovered"]) == (6, 14, 2)


@needs_compiler
def test_one_that_is_told_it_recovered_before_it_has_what_it_missed_is_counted() -> None:
    with running("ours", Crowd(websocket=1)) as (server, live):
        emit(server, live, Load(10))
        beginning = server.get("/events?limit=1")["events"][0]["data"]["offset"]
        with CountingClient(server.port, Crowd(websocket=1, resume_from=beginning)) as client:
            client.begin(1, 12, missed=12)
            told = _once(client, lambda told: told["recovered"] == 1)
    assert (told["recovered_early"], told["websocket"]["received"]) == (1, 9)


def _once(client: CountingClient, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the first report that it holds for."""
    deadline = time.monotonic() + 10
    while not holds(told := client.report()):
        assert time.monotonic() < deadline, told
    return told


def test_a_journal_that_is_not_where_it_should_be_fails_the_case(temporary: Path) -> None:
    with Server("ours_sqlite") as server:
        server.check_journal()
        server.name = "ours_redis"
        with pytest.raises(BenchmarkError, match=r"not what is to be measured: .*sqlite"):
            server.check_journal()


@needs_redis
def test_redis_answers_once_it_is_made_and_is_gone_at_the_end(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        os.kill(redis.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(redis.pid, 0)
    assert (tmp_path / "appendonlydir").is_dir()
    redis.close()


@needs_redis
def test_a_redis_that_can_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"redis-server did not start: .*absent"):
        RedisServer(tmp_path / "absent")


def test_without_redis_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchmarkError, match="apt-get install redis-server"):
        Server("ours_redis")


def test_the_journals_are_compared_with_the_memory_one_and_peers_with_node() -> None:
    cases = all_cases()
    assert (cases["burst_200"].baseline, cases["burst_200"].servers) == ("node", PEERS)
    for name in ("journal_burst", "journal_rate", "journal_cpu_bound", "journal_mutation", "replay"):
        assert (cases[name].baseline, cases[name].servers) == ("ours", JOURNALS)
    assert all(case.baseline in case.servers or case.servers == ("ours",) for case in cases.values())


def test_a_ratio_names_the_baseline_where_it_is_not_node() -> None:
    case = Case("x", "", lambda _: {}, 1, ("ours", "ours_sqlite"), baseline="ours")
    rows = [
        Row("x", "ours", 0, {"messages_per_cpu_second": 100.0}),
        Row("x", "ours_sqlite", 0, {"messages_per_cpu_second": 80.0, "replay_seconds": 1.5, "not_recovered": 0}),
    ]
    (ours, sqlite) = report.table(rows, [case])
    assert (ours[3], sqlite[3]) == ("1.00 × ours", "0.80 × ours")
    assert sqlite[-1] == "all replayed in 1.50 s"
