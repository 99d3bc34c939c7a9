"""The attacks, in the order they are made: which processes attack, and what the service is like meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

FEW_FILES = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One attack.

    ``attackers`` are kinds of :mod:`benchmarks.hostile.attacker`, each a process with so many clients.
    ``files_limit`` is the service's ``ulimit -n``, 0 for what the machine gives; ``filled`` is how many files its
    journal has; ``marks`` has its pipeline report names of combining marks; ``memory`` looks at its memory afterwards.
    """

    name: str
    title: str
    attackers: tuple[tuple[str, int], ...] = ()
    files_limit: int = FEW_FILES
    filled: int = 0
    marks: bool = False
    memory: bool = False


ROWS = (
    Row("none", "no attack", memory=True),
    Row("idle", "1,100 idle connections to 8004", (("idle", 1100),)),
    Row("dripping", "1,100 to 8004 that drip their headers", (("dripping", 1100),)),
    Row("headers", "5,000 to 8003 that drip their headers", (("headers", 2500), ("headers", 2500)), memory=True),
    Row("pings", "pings, 500 KB/s", (("pings", 4), ("pings", 4)), files_limit=0),
    Row("connects", "refused CONNECTs, 500 KB/s", (("connects", 4), ("connects", 4)), files_limit=0),
    Row("fragments", "empty fragments, 500 KB/s", (("fragments", 4), ("fragments", 4)), files_limit=0),
    Row("websockets", "1,100 WebSockets that join nothing", (("websockets", 1100),)),
    Row(
        "marks",
        "32,000 combining marks: names, texts, queries",
        (("marks", 4), ("long marks", 4)),
        files_limit=0,
        marks=True,
    ),
    Row("sessions", "sessions without end, by polling", (("sessions", 8), ("sessions", 8)), files_limit=0, memory=True),
    Row("searches", "40 search 100,000 files without a pause", (("searches", 40),), files_limit=0, filled=100_000),
    Row("streams", "600 idle streams of /events", (("streams", 600),), files_limit=0, memory=True),
    Row("requests", "whole requests to 8003, as fast as 64 can", (("requests", 32), ("requests", 32)), files_limit=0),
    Row("polls", "whole requests to 8004, as fast as 64 can", (("polls", 32), ("polls", 32)), files_limit=0),
    Row("pages", "pages of 1,000 events, as fast as 40 can take them", (("pages", 40),), files_limit=0),
)
"""The number of a row in the table is its place here."""
