"""The command's loop: looks at the client some times a second, shows what it sees, and knows when to end."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from rag_pipeline.cli.watch.view import Look, View
from rag_pipeline.cli.watch.work import Work
from rag_pipeline.client import ConnectionState, Event, EventStream, SlowConsumerError, StatusClient
from rag_pipeline.errors import ExitCode, WaitTimeoutError

LOOK_SECONDS = 0.1


class Stop(Protocol):
    """What ends the watching: Ctrl+C and SIGTERM."""

    def wait(self, timeout_seconds: float) -> bool:
        """Wait at most so long; return whether it is to end."""


class Orders(NamedTuple):
    """What the user wants: ``pipelines`` None stands for all; ``timeout_seconds`` goes with ``until_idle``."""

    pipelines: Collection[str] | None = None
    until_idle: bool = False
    wait: bool = False
    timeout_seconds: float | None = None


class Follower:
    """Shows a started client's picture until it is told to stop, or the work is done."""

    def __init__(self, client: StatusClient, view: View, orders: Orders) -> None:
        self._client = client
        self._view = view
        self._orders = orders
        self._work = Work(time.time())
        self._began = time.monotonic()
        self._stream: EventStream | None = client.events() if view.wants_events else None

    def run(self, stop: Stop) -> int:
        """Return the exit code; raises AccessDeniedError, UnreachableError or WaitTimeoutError."""
        self._view.begin()
        summary = None
        try:
            while True:
                look = self._look()
                code = self._verdict(look)
                if code is not None:
                    summary = self._work.summary()
                    return code
                if stop.wait(LOOK_SECONDS):
                    return ExitCode.INTERRUPTED if self._orders.until_idle else ExitCode.OK
        finally:
            self._view.end(summary)

    def _look(self) -> Look:
        # How it stands is asked first: what is live then is at least as new as that.
        connection, error = self._client.connection, self._client.error
        states = {key: state for key, state in self._client.pipelines.items() if self._wants(key)}
        look = Look(states, connection, error)
        self._view.show(look, self._new_events())
        return look

    def _new_events(self) -> Sequence[Event]:
        if self._stream is None:
            return ()
        try:
            return [event for event in self._stream.pending() if self._wants(event.data["pipeline_id"])]
        except SlowConsumerError as error:
            self._view.missed(str(error))
            self._stream = self._client.events()
            return ()

    def _wants(self, pipeline_id: str | None) -> bool:
        return self._orders.pipelines is None or pipeline_id in self._orders.pipelines

    def _verdict(self, look: Look) -> int | None:
        """Return the exit code if the watching is over; raises what it has failed for."""
        if look.error is not None and self._is_hopeless(look.connection):
            raise look.error
        if not self._orders.until_idle:
            return None
        now = time.monotonic()
        if look.connection is ConnectionState.LIVE:
            self._work.look(look.states, now)
        else:
            self._work.look_away()
        if self._has_all(look) and self._work.is_done(now):
            return ExitCode.OK if self._work.well else ExitCode.FILES_FAILED
        limit = self._orders.timeout_seconds
        if limit is not None and now - self._began >= limit:
            raise WaitTimeoutError(f"the work was not done within {limit:g} seconds: {self._work.summary()}")
        return None

    def _is_hopeless(self, connection: ConnectionState) -> bool:
        if connection is ConnectionState.CONNECTING:
            return not self._orders.wait
        return connection in (ConnectionState.REFUSED, ConnectionState.CLOSED)

    def _has_all(self, look: Look) -> bool:
        return set(self._orders.pipelines or ()) <= look.states.keys()
