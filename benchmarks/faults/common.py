"""The faults that every source has: those of the endpoint, the store, the ledger, the machine and the process."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.faults.endpoint import Fault
from benchmarks.faults.launcher import AFTER_STORE, EXTRACTION_SECONDS, LEDGER, MEMORY, STORE, THREADS
from benchmarks.faults.life import children_of, freeze, wait_until
from benchmarks.faults.world import Card, World

LARGE_LINES = 5000
"""More than the 512 chunks that the pipeline has in memory of a file."""
SHOWN_SECONDS = 20.0
STOP_SECONDS = 20.0
LEFT_BEHIND = "a file was still being worked on"
"""Part of the log line of a stop that could not end all work within its 8 seconds."""
_SOON = frozenset({Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.NOT_FOUND, Fault.TOO_LARGE, Fault.ERROR_BODY})
"""Faults that open the circuit breaker at once, so the status shows them soon. Others are retried for seconds first."""


def cards(world: World) -> list[Card]:
    """Return the faults, each with how often a whole run has it."""
    return [
        *(Card(f"endpoint: {fault.value}", partial(_endpoint, world, fault)) for fault in Fault),
        Card("endpoint: fails at random amid a large file", partial(_flaky, world), 2),
        *(
            Card(name, partial(_process, world, shares), times)
            for name, shares, times in (
                ("store raises", {STORE: 0.6}, 2),
                ("store raises after its commit", {AFTER_STORE: 0.6}, 2),
                ("ledger raises", {LEDGER: 0.4}, 2),
                ("MemoryError", {MEMORY: 0.7}, 1),
                ("can't start new thread", {THREADS: 0.8}, 1),
            )
        ),
        Card("extraction stands still (wall time)", partial(_stuck, world)),
        *([Card("disk full", partial(_full, world), 2)] if world.disk_is_small else []),
        Card("SIGKILL", partial(_kill, world), 3),
        Card("SIGKILL amid a large file", partial(_kill_in_large, world), 2),
        Card("SIGTERM", partial(_stop, world), 2),
        Card("SIGTERM while the endpoint hangs", partial(_stop_hanging, world)),
        Card("a file that kills the process", partial(_poison, world)),
    ]


def _work(world: World) -> None:
    for _ in range(world.chance.randint(2, 4)):
        world.place.edit()
    world.place.write_new()


def _during(
    world: World,
    begin: Callable[[], None],
    end: Callable[[], None],
    *,
    met: Callable[[], object] = lambda: True,
    must_show: bool = False,
) -> None:
    """Have a fault for a while, with work to do meanwhile; note whether the status tells of it as it has to."""
    world.wait(lambda: not _shows_trouble(world), "the end of the trouble before")
    begin()
    try:
        _work(world)
        seconds = SHOWN_SECONDS if must_show else world.chance.uniform(0.8, 2.5)
        shown = wait_until(lambda: met() and _shows_trouble(world), seconds)
        world.outages += 1
        world.outages_shown += shown
        if must_show and not shown:
            world.note("the status did not show the trouble")
        world.pause(0.0, 0.5)
    finally:
        end()


def _shows_trouble(world: World) -> bool:
    world.life.mind()
    state = world.life.status()
    return bool(state.get("status") == "error" and state.get("message") and state.get("next_try_time"))


def _endpoint(world: World, fault: Fault) -> None:
    endpoint, before = world.endpoint, world.endpoint.hits
    _during(
        world,
        lambda: endpoint.fail(fault),
        lambda: endpoint.fail(None),
        met=lambda: endpoint.hits > before,
        must_show=fault in _SOON,
    )


def _flaky(world: World) -> None:
    faults = [Fault.UNAUTHORIZED, Fault.ERROR_BODY, Fault.SERVER_ERROR, Fault.CUT]
    world.endpoint.fail(world.chance.choice(faults), 0.3)
    world.place.write_new(LARGE_LINES)
    world.pause(1.5, 3.0)
    world.endpoint.fail(None)


def _process(world: World, shares: Mapping[str, float]) -> None:
    _during(world, lambda: world.life.fail(shares), lambda: world.life.fail({}))


def _stuck(world: World) -> None:
    workers = children_of(world.life.pid)
    freeze(workers, signal.SIGSTOP)
    _work(world)
    world.pause(EXTRACTION_SECONDS + 0.5, EXTRACTION_SECONDS + 1.0)
    freeze(workers, signal.SIGCONT)


def _full(world: World) -> None:
    ballast = world.state.parent / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                for size in (1 << 20, 1 << 12):
                    while True:
                        file.write(b"\0" * size)
                        if file.tell() > 1 << 30:
                            raise AssertionError("no small disk")
            except OSError:
                pass

    _during(world, fill, lambda: ballast.unlink(missing_ok=True))


def _kill(world: World) -> None:
    _work(world)
    world.pause(0.0, 1.0)
    world.life.kill()
    if world.chance.random() < 0.5:
        _work(world)
    world.life.start()


def _kill_in_large(world: World) -> None:
    with world.endpoint.lock:
        before = world.endpoint.embeddings.made
    world.place.write_new(LARGE_LINES)
    wait_until(lambda: world.endpoint.embeddings.made > before + 64 * world.chance.randint(1, 7), 15.0)
    world.life.kill()
    world.life.start()


def _stop(world: World) -> None:
    _work(world)
    world.pause(0.0, 1.0)
    _expect_orderly(world)


def _stop_hanging(world: World) -> None:
    world.endpoint.fail(Fault.HANG)
    world.place.write_new()
    if not wait_until(lambda: world.endpoint.waiting, 15.0):
        world.note("no request came that could hang")
    _expect_orderly(world)
    world.endpoint.fail(None)


def _expect_orderly(world: World) -> None:
    world.life.mind()
    began = time.monotonic()
    code = world.life.stop()
    if time.monotonic() - began > STOP_SECONDS:
        world.note(f"SIGTERM took {time.monotonic() - began:.1f} s")
    if LEFT_BEHIND in world.life.output():
        world.note("the work on a file did not end with the stop")
    if code != 0:
        world.note(f"SIGTERM ended with {code}: {world.life.output()[-800:]}")
    world.life.start()


def _poison(world: World) -> None:
    name = world.known.name(world.place.poison())
    world.wait(
        lambda: any(name.endswith(one["name"]) or one["name"] == name for one in world.life.failures()),
        f"the failure of {name}",
        90.0,
    )
