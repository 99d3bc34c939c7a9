"""Trying out whether the service works: its Socket.IO server is asked, and marks pass the queues that events pass."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rag_pipeline import native
from rag_pipeline.probe import ProbeResult, probe, reachable
from rag_pipeline.pulse import Moves, Pulse
from rag_pipeline.socket_server import SocketServer

TIMEOUT_SECONDS = 2.0
KEPT_SECONDS = 0.25
LOCK_SECONDS = 2 * TIMEOUT_SECONDS + 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What ``/health`` says of the Socket.IO server and of the journal's queue; ``told`` is what the former answered.

    ``journal`` has nothing where events pass no queue on their way to the hub, or where that is all as it should be.
    """

    socket_io: Mapping[str, Any]
    journal: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


class Checks:
    """Tries the parts out when asked; many who ask at once get one result. Any thread may call it."""

    def __init__(self, sockets: SocketServer) -> None:
        self._sockets = sockets
        self._lock = native.allocate_lock()
        self._kept: tuple[float, Found] | None = None
        self._hub = Pulse(sockets.hub.call, lambda: sockets.handover.rearmed_at)
        self._writer = Pulse(sockets.call_as_events_go, lambda: sockets.writer_progressed_at)

    def result(self) -> Found:
        """Return what was found in the last moment, or is found now, within seconds."""
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            return Found({"status": "down", "error": "an earlier question is not answered yet"})
        try:
            if self._kept is None or time.monotonic() - self._kept[0] > KEPT_SECONDS:
                found = self._try_out()
                self._kept = (time.monotonic(), found)
            return self._kept[1]
        finally:
            self._lock.release()

    def _try_out(self) -> Found:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        passes_writer = self._sockets.passes_writer
        accepted = self._sockets.accepted
        for pulse in (self._hub, self._writer) if passes_writer else (self._hub,):
            pulse.begin()
        answer = probe(
            reachable(self._sockets.address),
            self._sockets.port,
            "/health",
            timeout_seconds=TIMEOUT_SECONDS,
            token=self._sockets.probe_token,
        )
        hub = self._hub.result(deadline)
        is_crowded = answer.status is None and self._sockets.accepted > accepted
        socket_io = _socket_io(answer, hub, len(self._sockets.handover), is_crowded=is_crowded)
        told = answer.body if answer.ok and isinstance(answer.body, dict) else {}
        if not passes_writer:
            return Found(socket_io, {}, told)
        writer = self._writer.result(deadline)
        journal = {"oldest_waiting_seconds": round(writer.oldest_seconds, 3)}
        # A mark that waits behind a hub that stands still says nothing of the writer.
        if not hub.stuck or self._sockets.writer_ended:
            journal |= _wrong("the journal's writer", writer, ended=self._sockets.writer_ended)
        return Found(socket_io, journal, told)


def _socket_io(answer: ProbeResult, hub: Moves, queued: int, *, is_crowded: bool) -> dict[str, Any]:
    """Return what to say of the Socket.IO server; ``is_crowded`` says that it accepted others while it was asked.

    Thousands who connect at once wait in line for seconds, and so does the question. A service whose clients are served
    all the while is not to be restarted for that.
    """
    shown: dict[str, Any] = {"status": "ok"}
    if answer.ok:
        shown["answered_in_ms"] = round(answer.seconds * 1000, 1)
    shown |= {"queued": queued, "oldest_waiting_seconds": round(hub.oldest_seconds, 3)}
    wrong = _wrong("the hub", hub)
    if is_crowded and wrong.get("status") != "down":
        return {**shown, "status": "degraded", "error": f"{answer.error}: too many connect at once"}
    if not answer.ok:
        return {**shown, "status": "down", "error": answer.error}
    return {**shown, **wrong}


def _wrong(part: str, moves: Moves, *, ended: bool = False) -> dict[str, Any]:
    """Return the members that say what is wrong with a part, none if it is well."""
    seconds = f"{moves.oldest_seconds:.1f} seconds"
    if ended:
        return {"status": "down", "error": f"{part} has ended"}
    if moves.stuck:
        return {"status": "down", "error": f"{part} has taken nothing for {seconds}"}
    if moves.slow:
        return {"status": "degraded", "error": f"{part} is {seconds} behind"}
    return {}
