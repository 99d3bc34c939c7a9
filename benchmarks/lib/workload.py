"""One measured window: the server emits, the clients count, and both ends are read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.lib.client import CountingClient, Crowd
from benchmarks.lib.measure import RssPeak, cpu_seconds, rss_bytes
from benchmarks.lib.server import Server

Figures = dict[str, float | None]
EVENT_BYTES = 300
WARM_UP_SECONDS = 3.0
WINDOW_SECONDS = 10.0
"""Repetitions of a load end early when they have taken this long: some peers take half a minute for one."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is emitted in one window: ``count`` events, at once or ``per_second``, repeated ``times``.

    With ``status_bytes`` a peer sends a status of that size with each tenth event; ours sends its own in any case.
    """

    count: int
    per_second: float | None = None
    size: int = EVENT_BYTES
    times: int = 1
    status_bytes: int = 0

    @property
    def timeout_seconds(self) -> float:
        """How long one repetition may take before it counts as lossy: its own length and a minute."""
        return 60 + (self.count / self.per_second if self.per_second else 0)


@contextmanager
def running(name: str, crowd: Crowd) -> Iterator[tuple[Server, CountingClient]]:
    """Start a server and let the crowd join it; both end on leaving.

    Raises :class:`BenchmarkError` at the end if the server's journal has failed meanwhile.
    """
    with Server(name) as server, CountingClient(server.port, crowd) as client:
        client.wait_ready(30 + (crowd.websocket + crowd.polling) / 100)
        yield server, client
        server.check_journal()


def emit(server: Server, client: CountingClient, load: Load) -> None:
    """Emit once, counted, and wait until everything has arrived or the time is up."""
    first = server.take(load.count)
    client.begin(first, load.count)
    fields = {"first": first, "count": load.count, "size": load.size, "status_bytes": load.status_bytes}
    if load.per_second is None:
        server.start("burst", **fields)
    else:
        server.start("rate", per_second=load.per_second, **fields)
    server.finish(load.timeout_seconds)
    client.wait_done(load.timeout_seconds if load.per_second is None else 5)


def warm_up(server: Server, client: CountingClient, load: Load) -> None:
    """Run what will be measured before it is: a JIT compiles it, buffers and pools reach their size."""
    short = load.count if load.per_second is None else min(load.count, int(load.per_second))
    started = time.monotonic()
    for _ in range(3 if load.per_second is None else 1):
        emit(server, client, replace(load, count=short, times=1))
        if time.monotonic() - started > WARM_UP_SECONDS:
            break
    time.sleep(0.2)


def measure(server: Server, client: CountingClient, load: Load, *, rest_seconds: float = 0.3) -> Figures:
    """Emit the load up to ``times`` times; return the sums, and of latencies the mean over the repetitions."""
    rows: list[Figures] = []
    begun = time.monotonic()
    for _ in range(load.times):
        with RssPeak(server.pid) as peak:
            cpu, started = cpu_seconds(server.pid), time.monotonic()
            client_cpu = cpu_seconds(client.pid)
            redis_cpu = cpu_seconds(server.redis.pid) if server.redis else 0.0
            emit(server, client, load)
            row: Figures = {
                "cpu_seconds": cpu_seconds(server.pid) - cpu,
                "client_cpu_seconds": cpu_seconds(client.pid) - client_cpu,
                "wall_seconds": time.monotonic() - started,
            }
            if server.redis:
                row["redis_cpu_seconds"] = cpu_seconds(server.redis.pid) - redis_cpu
        row |= {"rss_mb": rss_bytes(server.pid) / 1e6, "rss_peak_mb": peak.bytes / 1e6}
        rows.append(row | counted(client))
        if time.monotonic() - begun > WINDOW_SECONDS:
            break
        time.sleep(rest_seconds)
    return combine(rows)


def counted(client: CountingClient) -> Figures:
    """Return the client's figures of the window, flat; those of pollers have the prefix ``polling_``."""
    report = client.report()
    figures: Figures = {}
    for kind, prefix in (("websocket", ""), ("polling", "polling_")):
        tally = report[kind]
        if tally["clients"] == 0:
            continue
        figures |= {
            f"{prefix}expected": tally["expected"],
            f"{prefix}delivered": tally["received"],
            f"{prefix}out_of_order": tally["gaps"] + tally["repeated"],
            f"{prefix}other_events": tally["others"],
            f"{prefix}event_bytes": tally["event_bytes"] / max(1, tally["received"]),
            f"{prefix}disconnected": tally["clients"] - tally["open"],
        }
        for name in ("p50", "p99", "max"):
            taken = tally[f"{name}_us"]
            figures[f"{prefix}{name}_ms"] = None if taken is None else taken / 1e3
    if client.crowd.stalled:
        figures["stalled_disconnected"] = report["stalled"]["closed"]
    figures["arrival_seconds"] = report["seconds"]
    return figures


_SUMMED = ("seconds", "expected", "delivered", "out_of_order", "other_events")


def combine(rows: list[Figures]) -> Figures:
    """Return one row: times and counts added, everything else averaged; and messages per CPU second from the sums."""
    combined: Figures = {}
    for key in rows[0]:
        values = [value for row in rows if (value := row[key]) is not None]
        total = sum(values)
        combined[key] = None if not values else total if key.endswith(_SUMMED) else total / len(values)
    delivered = (combined.get("delivered") or 0) + (combined.get("polling_delivered") or 0)
    combined["messages_per_cpu_second"] = delivered / (combined["cpu_seconds"] or 1e-9)
    return combined
