"""A host program whose mode says how it uses threads; test_hosts.py runs it as a process.

It starts the service, prints the ports, waits for a line, mutates in its mode, prints the state, waits for another
line, stops the service and prints ``stopped``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

MODE = sys.argv[1]
EVENTS = int(sys.argv[2])
WORKERS = 4

if MODE == "patched_before":
    import eventlet

    eventlet.monkey_patch()

from rag_pipeline import PipelineStatus  # noqa: E402 - the order is what is tested
from rag_pipeline.common.config import Settings  # noqa: E402
from rag_pipeline.service.server import StatusServer  # noqa: E402

if MODE == "patched_after":
    import eventlet

    eventlet.monkey_patch()


def work(pipeline: PipelineStatus, worker: int) -> None:
    """Mutate ``EVENTS`` times, by the context manager and by single calls."""
    for number in range(EVENTS):
        if number % 10 == 0:
            with pipeline.processing(f"{worker}-{number}.pdf", f"{worker}-{number}") as file:
                file.stage("chunking", 0.5)
        else:
            pipeline.update(files_queued=number, own={"worker": worker})


def by_threads(pipeline: PipelineStatus) -> None:
    threads = [threading.Thread(target=work, args=(pipeline, n)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_greenlets(pipeline: PipelineStatus) -> None:
    pool = eventlet.GreenPool()

    def green(worker: int) -> None:
        for number in range(EVENTS):
            pipeline.update(files_queued=number, own={"worker": worker})
            eventlet.sleep(0)
        work(pipeline, worker)

    for worker in range(WORKERS):
        pool.spawn(green, worker)
    pool.waitall()


def by_tasks(pipeline: PipelineStatus) -> None:
    async def task(worker: int) -> None:
        for number in range(EVENTS):
            async with pipeline.processing(f"{worker}-{number}.pdf", f"{worker}-{number}") as file:
                file.stage("storing", 1.0)
                await asyncio.sleep(0)
            await asyncio.to_thread(pipeline.update, files_queued=number)

    async def all_tasks() -> None:
        await asyncio.gather(*(task(n) for n in range(WORKERS)))

    asyncio.run(all_tasks())


def by_a_busy_process(pipeline: PipelineStatus) -> None:
    stop = False

    def burn() -> None:
        while not stop:
            sum(range(10_000))

    burners = [threading.Thread(target=burn, daemon=True) for _ in range(2)]
    for burner in burners:
        burner.start()
    by_threads(pipeline)
    stop = True
    for burner in burners:
        burner.join()


def main() -> None:
    """Run in the mode."""
    pipeline = PipelineStatus("local_files", "host")
    ways: dict[str, Any] = {
        "threads": by_threads,
        "asyncio": by_tasks,
        "patched_before": by_greenlets,
        "patched_after": by_greenlets,
        "busy": by_a_busy_process,
    }
    # A polling client can't keep up with a burst of this size; this test is about order.
    settings = Settings(http_port=0, socket_port=0, backlog_limit_bytes=1 << 26)
    with StatusServer(settings, pipelines=[pipeline]) as server:
        server.start()
        say({"socket_port": server.socket_port, "http_port": server.http_port})
        sys.stdin.readline()
        ways[MODE](pipeline)
        pipeline.update(own={"played": True})
        say(pipeline.get())
        sys.stdin.readline()
    say("stopped")


def say(value: object) -> None:
    """Print one line of JSON."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
