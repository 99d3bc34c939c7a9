"""The case of clients that were away: they connect at once, and are sent what they missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

from benchmarks.lib.client import CountingClient, Crowd
from benchmarks.lib.measure import RssPeak, cpu_seconds
from benchmarks.lib.process import BenchmarkError
from benchmarks.lib.server import Server
from benchmarks.lib.workload import Figures, Load, counted, emit, measure, running, warm_up

LIVE_PER_SECOND = 20
LIVE_SECONDS = (2.0, 20.0)
"""How long the load beside the second replay lasts: as long as the first replay took, within this."""
PIECE = 500
TIMEOUT_SECONDS = 60.0
ROOM = round(LIVE_PER_SECOND * LIVE_SECONDS[1]) + PIECE
"""By how much the second replay falls short of the first: a journal in memory is full by then, and the live events
push out the oldest."""


def replay(clients: int, missed: int, live_seconds: float) -> Callable[[str], Figures]:
    """Return the case of ``clients`` that missed ``missed`` events.

    First nothing else happens, and the replay is timed. Then it is done again beside a client that was there all the
    time and gets a few events a second; its latency is compared with that of the same load alone.
    """

    def run(name: str) -> Figures:
        with running(name, Crowd(websocket=1)) as (server, live):
            load = Load(round(LIVE_PER_SECOND * live_seconds), per_second=LIVE_PER_SECOND)
            warm_up(server, live, load)
            alone = measure(server, live, load)
            beginning = _newest(server)
            first = server.next_n
            for count in _pieces(missed):
                emit(server, live, Load(count))
            figures = _timed(server, Crowd(websocket=clients), beginning, first, missed)
            left = min(ROOM, missed // 2)
            further = _newest(server, beginning, left)
            beside, met = _beside_live(
                server, live, Crowd(websocket=clients), further, first + left, missed - left, figures["replay_seconds"]
            )
            for key in ("expected", "delivered", "out_of_order", "disconnected", "not_recovered", "recovered_early"):
                figures[key] = (figures[key] or 0) + (beside[key] or 0)
            return figures | {
                "live_p99_ms": met["p99_ms"],
                "live_max_ms": met["max_ms"],
                "live_lost": (met["expected"] or 0) - (met["delivered"] or 0) + (met["out_of_order"] or 0),
                "alone_p99_ms": alone["p99_ms"],
            }

    return run


def _timed(server: Server, crowd: Crowd, offset: str, first: int, missed: int) -> Figures:
    with CountingClient(server.port, replace(crowd, resume_from=offset)) as client, RssPeak(server.pid) as peak:
        cpu, client_cpu = cpu_seconds(server.pid), cpu_seconds(client.pid)
        client.begin(first, missed, missed=missed)
        whole = client.wait_done(TIMEOUT_SECONDS)
        spent = cpu_seconds(server.pid) - cpu
        figures = _resumed(client)
        figures |= {"cpu_seconds": spent, "client_cpu_seconds": cpu_seconds(client.pid) - client_cpu}
    figures["rss_peak_mb"] = peak.bytes / 1e6
    figures["replay_seconds"] = figures["arrival_seconds"] if whole else None
    figures["messages_per_cpu_second"] = (figures["delivered"] or 0) / spent
    return figures


def _beside_live(
    server: Server, live: CountingClient, crowd: Crowd, offset: str, first: int, missed: int, seconds: float | None
) -> tuple[Figures, Figures]:
    """Replay while events come; return what those who resume got, the new ones among it, and what the live one got."""
    shortest, longest = LIVE_SECONDS
    count = round(LIVE_PER_SECOND * min(longest, max(shortest, seconds or 0)))
    load = Load(count, per_second=LIVE_PER_SECOND)
    new = server.take(count)
    live.begin(new, count)
    with CountingClient(server.port, replace(crowd, resume_from=offset)) as client:
        fields = {"first": new, "count": count, "size": load.size, "status_bytes": 0}
        server.start("rate", per_second=LIVE_PER_SECOND, **fields)
        client.begin(first, new + count - first, missed=missed)
        server.finish(load.timeout_seconds)
        client.wait_done(TIMEOUT_SECONDS)
        live.wait_done(5)
        return _resumed(client), counted(live)


def _resumed(client: CountingClient) -> Figures:
    report, figures = client.report(), counted(client)
    # How old a replayed event is says when it was made, not how long it was under way.
    for key in ("p50_ms", "p99_ms", "max_ms"):
        del figures[key]
    not_told = client.crowd.websocket - report["recovered"]
    return figures | {"not_recovered": not_told, "recovered_early": report["recovered_early"]}


def _newest(server: Server, since: str | None = None, limit: int = 1000) -> str:
    """Return the offset at the end of a page of events: the newest while there are few, unless ``since`` is given."""
    query = {"limit": str(limit)} | ({} if since is None else {"since": since})
    page = server.get(f"/events?{urlencode(query)}")
    if page["more"] and since is None:
        raise BenchmarkError(f"{server.name}: more than {limit} events before the first that is to be replayed")
    offset: str = page["next"]
    return offset


def _pieces(count: int) -> list[int]:
    return [min(PIECE, count - done) for done in range(0, count, PIECE)]
