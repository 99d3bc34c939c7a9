"""The cases, by name: what each starts, emits and reads. A case returns one row of figures for one server, once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.lib.client import CountingClient, Crowd
from benchmarks.lib.measure import RssPeak, settled_rss_bytes
from benchmarks.lib.replay import replay
from benchmarks.lib.server import JOURNALS, PEERS, Server
from benchmarks.lib.workload import EVENT_BYTES, Figures, Load, combine, counted, emit, measure, running, warm_up

BIG_EVENT_BYTES = 4300
# What ours sends in this load, counted: a file event on the average, and a status ten times a second.
OUR_EVENT_BYTES = 532
OUR_STATUS_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Case:
    """One block of the table: which servers take part, how often, how it is run, and which one they are compared to."""

    name: str
    title: str
    run: Callable[[str], Figures]
    repetitions: int
    servers: tuple[str, ...] = PEERS
    baseline: str = "node"


def fan_out(clients: int, load: Load) -> Callable[[str], Figures]:
    """Return a case of WebSocket clients that all get the load."""

    def run(name: str) -> Figures:
        with running(name, Crowd(websocket=clients)) as (server, client):
            warm_up(server, client, load)
            return measure(server, client, load)

    return run


def cpu_bound(seconds: float) -> Callable[[str], Figures]:
    """Return the case of a CPU-bound thread beside 200 clients: what it keeps, what they wait.

    Seconds with events and seconds without take turns: what a noisy machine takes away, it takes from both.
    """
    load = Load(20, per_second=20)

    def run(name: str) -> Figures:
        with running(name, Crowd(websocket=200)) as (server, client):
            warm_up(server, client, load)
            server.start("busy_start")
            server.finish(10)
            rows: list[Figures] = []
            for _ in range(round(seconds)):
                alone = _loops_per_second(server, lambda: time.sleep(1))
                loaded = _loops_per_second(server, lambda: rows.append(measure(server, client, load, rest_seconds=0)))
                rows[-1]["busy_kept"] = loaded / alone
            server.start("busy_stop")
            server.finish(10)
            figures = combine(rows) | {"busy_kept": statistics.median(row["busy_kept"] or 0.0 for row in rows)}
            # The busy thread's CPU time is in the sum, which says nothing about messages then.
            del figures["messages_per_cpu_second"]
            return figures

    return run


def _loops_per_second(server: Server, meanwhile: Callable[[], object]) -> float:
    server.start("busy_read")
    before = server.finish(10)
    meanwhile()
    server.start("busy_read")
    after = server.finish(10)
    speed: float = (after["loops"] - before["loops"]) / (after["seconds"] - before["seconds"])
    return speed


def mutation(clients: int, count: int) -> Callable[[str], Figures]:
    """Return the case that times each mutation of a burst in the mutating thread."""

    def run(name: str) -> Figures:
        with running(name, Crowd(websocket=clients)) as (server, client):
            if clients:
                warm_up(server, client, Load(min(count, 200)))
            first = server.take(count)
            client.begin(first, count)
            server.start("mutation", first=first, count=count)
            answer = server.finish(60)
            client.wait_done(60)
            figures: Figures = {f"mutation_{key}": answer[key] for key in ("median_us", "p99_us", "max_us")}
            return figures | counted(client)

    return run


def idle(clients: int) -> Callable[[str], Figures]:
    """Return the case that reads memory for each connected client, then lets all of them get one burst."""
    few = Load(5)

    def run(name: str) -> Figures:
        with running(name, Crowd(websocket=10)) as (server, client):
            warm_up(server, client, few)
            before = settled_rss_bytes(server.pid)
            with CountingClient(server.port, Crowd(websocket=clients)) as crowd:
                started = time.monotonic()
                crowd.wait_ready(60 + clients / 50)
                joined_seconds = time.monotonic() - started
                after = settled_rss_bytes(server.pid)
                figures = measure(server, crowd, few)
            return figures | {"idle_kb_each": (after - before) / clients / 1024, "join_seconds": joined_seconds}

    return run


def stalled(seconds: float, stalled_clients: int) -> Callable[[str], Figures]:
    """Return the case of 50 readers beside clients that stop reading; events of 4 KB."""
    load = Load(round(800 * seconds), per_second=800, size=BIG_EVENT_BYTES)
    crowd = Crowd(websocket=50, stalled=stalled_clients, stalled_receive_buffer_bytes=16384)

    def run(name: str) -> Figures:
        with running(name, crowd) as (server, client):
            emit(server, client, Load(100, per_second=200, size=EVENT_BYTES))
            before = settled_rss_bytes(server.pid, timeout_seconds=3)
            with RssPeak(server.pid) as peak:
                figures = measure(server, client, load)
            return figures | {"rss_growth_mb": (peak.bytes - before) / 1e6}

    return run


def polling(seconds: float, pollers: int) -> Callable[[str], Figures]:
    """Return the case of clients on long-polling beside 200 on WebSocket."""
    load = Load(round(20 * seconds), per_second=20)

    def run(name: str) -> Figures:
        with running(name, Crowd(websocket=200, polling=pollers)) as (server, client):
            warm_up(server, client, load)
            return measure(server, client, load)

    return run


def all_cases(*, quick: bool = False) -> dict[str, Case]:
    """Return the cases by name, in the table's order; ``quick`` makes them short enough to try a change with."""
    repetitions, seconds = (1, 2.0) if quick else (3, 6.0)
    many = 2_000 if quick else 10_000
    cases = [
        Case("burst_200", "200 clients, 500 events at once", fan_out(200, Load(500, times=3)), max(repetitions, 2)),
        Case("rate_200", "200 clients, 100 events/s", fan_out(200, Load(round(100 * seconds), 100)), repetitions),
        Case(
            "rate_200_same",
            "as rate_200, and the peers send what ours does: 532 bytes, and a status of 4 KB ten times a second",
            fan_out(200, Load(round(100 * seconds), 100, OUR_EVENT_BYTES, status_bytes=OUR_STATUS_BYTES)),
            repetitions,
            ("ours", "node", "eventlet"),
        ),
        Case("burst_1000", "1,000 clients, 100 events at once", fan_out(1000, Load(100, times=3)), repetitions),
        Case("cpu_bound", "200 clients, 20 events/s, a CPU-bound thread", cpu_bound(seconds), repetitions),
        *(
            Case(f"mutation_{n}", f"one mutation in a burst, {n:,} clients", mutation(n, 1000), repetitions, ("ours",))
            for n in (0, 200, 1000)
        ),
        Case("idle_1000", "1,000 idle clients, then 5 events", idle(1000), 1),
        Case("idle_10000", f"{many:,} idle clients, then 5 events", idle(many), 1, ("ours", "node", "eventlet")),
        Case("stalled_0", "50 clients, 4 KB at 800/s, all read", stalled(seconds, 0), 1, ("ours", "node", "eventlet")),
        Case("stalled_1", "50 clients, 4 KB at 800/s, one more is stalled", stalled(seconds, 1), 1),
        Case("polling_0", "200 WebSocket, 20 events/s", polling(seconds, 0), 1),
        Case("polling_200", "200 WebSocket and 200 polling, 20 events/s", polling(seconds, 200), 1),
    ]
    cases += _journal_cases(repetitions, seconds)
    return _smallest() | {case.name: case for case in cases}


def _journal_cases(repetitions: int, seconds: float) -> list[Case]:
    """Return what the journals cost, and what can be had for it; ours alone has any of it."""
    paced = Load(round(100 * seconds), 100)

    def case(name: str, title: str, run: Callable[[str], Figures]) -> Case:
        return Case(name, title, run, repetitions, JOURNALS, baseline="ours")

    return [
        case("journal_burst", "as burst_200, with each journal", fan_out(200, Load(500, times=3))),
        case("journal_rate", "as rate_200, with each journal", fan_out(200, paced)),
        case("journal_cpu_bound", "as cpu_bound, with each journal", cpu_bound(seconds)),
        case("journal_mutation", "as mutation_200, with each journal", mutation(200, 1000)),
        case(
            "replay",
            "200 clients that missed 10,000 events connect at once; then again beside 20 events/s",
            replay(200, 10_000, seconds),
        ),
        Case(
            "replay_store",
            "as replay, 20,000 events: the first half is in the store alone",
            replay(200, 20_000, seconds),
            1,
            ("ours_sqlite", "ours_redis"),
            baseline="ours_sqlite",
        ),
    ]


def _smallest() -> dict[str, Case]:
    """A case that is over in a second or two: it proves the runner, not a server."""
    return {"smoke": Case("smoke", "5 clients, 20 events at once", fan_out(5, Load(20)), 1)}
