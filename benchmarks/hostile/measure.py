"""One row: a service, honest clients, attackers, and a window in which everything is measured."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.hostile.observers import Observers, Seen
from benchmarks.hostile.rows import Row
from benchmarks.lib.measure import RssPeak, rss_bytes
from benchmarks.lib.process import BenchmarkError, JsonProcess

START_SECONDS = 60.0
WARM_SECONDS = 1.0
FILL_SECONDS = 300.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Times:
    """How long things are done: the window, and the rest before memory is looked at."""

    window_seconds: float = 14.0
    rest_seconds: float = 60.0


QUICK = Times(4.0, 4.0)


@dataclass(frozen=True, slots=True)
class Span:
    """What many times come to, in seconds; all None if there are none."""

    count: int
    p50: float | None
    p99: float | None
    largest: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What one row measured. ``attackers`` is what each attacking process says it has done."""

    health: Span
    answers: dict[int, int]
    mutation: Span
    live: Span
    joins: Span
    resumes: Span
    files_per_second: float
    unopened: int
    missed: int
    cut: int
    lost: int
    refused: int
    left_out: int
    slowest_text_seconds: float
    stop_seconds: float
    rss_before: int
    rss_peak: int
    rss_after: int | None
    load: float
    attackers: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def span_of(seconds: Sequence[float]) -> Span:
    """Return what the times come to."""
    if not seconds:
        return Span(0, None, None, None)
    cuts = statistics.quantiles([*seconds, seconds[0]] if len(seconds) == 1 else seconds, n=100, method="inclusive")
    return Span(len(seconds), cuts[49], cuts[98], max(seconds))


def measure(row: Row, times: Times) -> Figures:
    """Run one row against a service of its own; raises :class:`BenchmarkError` if that does not work at all."""
    with ExitStack() as stack:
        service = stack.enter_context(
            JsonProcess("service", [sys.executable, "-m", "benchmarks.hostile.service", str(row.files_limit)])
        )
        ready = service.expect("ready", True, START_SECONDS)
        if row.filled:
            _tell(service, "fill", FILL_SECONDS, count=row.filled)
        _tell(service, "start")
        honest = stack.enter_context(ExitStack())
        observers = honest.enter_context(Observers(ready["http_port"], ready["socket_port"]))
        _wait_ready(observers)
        time.sleep(WARM_SECONDS)
        before = rss_bytes(service.pid)
        if row.marks:
            _tell(service, "marks")
        with RssPeak(service.pid) as peak:
            attackers = [stack.enter_context(_attacker(kind, ready, count)) for kind, count in row.attackers]
            for attacker in attackers:
                attacker.expect("event", "began", START_SECONDS)
            seen, calls = _window(service, observers, times.window_seconds)
        load = os.getloadavg()[0]
        # The stop is asked for amid the attack, but for the rows that look at what is left of it.
        after, done = None, []
        if row.memory:
            done = [_finish(attacker) for attacker in attackers]
            honest.close()
            _tell(service, "pause")  # what is left is of the attack then, and of the window's own events
            time.sleep(times.rest_seconds)
            after = rss_bytes(service.pid)
        stop = _tell(service, "stop", STOP_SECONDS * 2)["seconds"]
        done = done or [_finish(attacker) for attacker in attackers]
    return _figures(seen, calls, stop, (before, peak.bytes, after), load, done)


def _figures(
    seen: Seen,
    calls: dict[str, Any],
    stop: float,
    memory: tuple[int, int, int | None],
    load: float,
    done: list[dict[str, Any]],
) -> Figures:
    return Figures(
        health=span_of(seen.health),
        answers={status: seen.statuses.count(status) for status in sorted(set(seen.statuses))},
        mutation=span_of([taken / 1e9 for taken in calls["calls_ns"]]),
        live=span_of(seen.latencies),
        joins=span_of(seen.joins),
        resumes=span_of(seen.resumes),
        files_per_second=calls["files_per_second"],
        unopened=calls["unopened"],
        missed=seen.missed,
        cut=seen.cut,
        lost=seen.lost,
        refused=seen.refused,
        left_out=seen.left_out,
        slowest_text_seconds=calls["slowest_text_seconds"],
        stop_seconds=stop,
        rss_before=memory[0],
        rss_peak=memory[1],
        rss_after=memory[2],
        load=load,
        attackers=done,
    )


def _window(service: JsonProcess, observers: Observers, seconds: float) -> tuple[Seen, dict[str, Any]]:
    observers.begin()
    _tell(service, "begin")
    time.sleep(seconds)
    calls = _tell(service, "read")
    return observers.end(), calls


def _wait_ready(observers: Observers) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not observers.ready:
        if time.monotonic() > deadline:
            raise BenchmarkError("the follower got no event")
        time.sleep(0.05)


def _attacker(kind: str, ready: dict[str, Any], count: int) -> JsonProcess:
    ports = [str(ready["http_port"]), str(ready["socket_port"])]
    return JsonProcess(kind, [sys.executable, "-m", "benchmarks.hostile.attacker", kind, *ports, str(count)])


def _finish(attacker: JsonProcess) -> dict[str, Any]:
    attacker.end_input()
    return attacker.expect("event", "done", START_SECONDS)


def _tell(service: JsonProcess, command: str, seconds: float = START_SECONDS, **more: Any) -> dict[str, Any]:
    service.send(json.dumps({"cmd": command, **more}))
    return service.expect("ok", True, seconds)
