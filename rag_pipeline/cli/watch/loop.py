"""The loop of ``watch``: polls the client, shows what it knows, and decides when to end."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from rag_pipeline.cli.remote_service import unknown_pipelines
from rag_pipeline.cli.watch.output import WatchFrame, WatchOutput
from rag_pipeline.cli.watch.work_tracker import IDLE_SECONDS, WorkTracker
from rag_pipeline.client import ConnectionState, Event, EventStream, SlowConsumerError, StatusClient
from rag_pipeline.errors import ConfigurationError, ExitCode, WaitTimeoutError

POLL_SECONDS = 0.1


class StopRequest(Protocol):
    """Ends the loop: Ctrl+C or SIGTERM."""

    def wait(self, timeout_seconds: float) -> bool:
        """Wait at most ``timeout_seconds``; return whether the loop must end."""


class WatchOptions(NamedTuple):
    """The options of the command; ``pipelines`` None means all, ``timeout_seconds`` goes with ``until_idle``."""

    pipelines: Collection[str] | None = None
    until_idle: bool = False
    wait: bool = False
    timeout_seconds: float | None = None


class WatchLoop:
    """Shows what a started client knows, until it is stopped or all work is done."""

    def __init__(self, client: StatusClient, output: WatchOutput, options: WatchOptions) -> None:
        self._client = client
        self._output = output
        self._options = options
        self._work = WorkTracker(time.time())
        self._started_at = time.monotonic()
        self._seen: set[str] = set()
        self._unknown_since: float | None = None
        self._stream: EventStream | None = client.events() if output.wants_events else None

    def run(self, stop: StopRequest) -> int:
        """Return the exit code; raises AccessDeniedError, ConfigurationError, UnreachableError or WaitTimeoutError."""
        self._output.begin()
        summary = None
        try:
            while True:
                frame = self._show_frame()
                code = self._exit_code(frame)
                if code is not None:
                    summary = self._work.summary()
                    return code
                if stop.wait(POLL_SECONDS):
                    return ExitCode.INTERRUPTED if self._options.until_idle else ExitCode.OK
        finally:
            self._output.end(summary)

    def _show_frame(self) -> WatchFrame:
        # The connection is read first: states read after it are at least as new.
        connection, error = self._client.connection, self._client.error
        states = self._client.pipelines
        unknown = sorted(set(self._options.pipelines or ()) - states.keys())
        notice = unknown_pipelines(unknown, states) if unknown and connection is ConnectionState.LIVE else ""
        shown = {key: state for key, state in states.items() if self._is_shown(key)}
        frame = WatchFrame(shown, connection, error, notice)
        self._output.show(frame, self._new_events())
        return frame

    def _new_events(self) -> Sequence[Event]:
        if self._stream is None:
            return ()
        try:
            return [event for event in self._stream.pending() if self._is_shown(event.data["pipeline_id"])]
        except SlowConsumerError as error:
            self._output.missed(str(error))
            self._stream = self._client.events()
            return ()

    def _is_shown(self, pipeline_id: str | None) -> bool:
        return self._options.pipelines is None or pipeline_id in self._options.pipelines

    def _exit_code(self, frame: WatchFrame) -> int | None:
        """Return the exit code if the loop must end; raises the error that ends it."""
        if frame.error is not None and self._is_fatal(frame.connection):
            raise frame.error
        if not self._options.until_idle:
            return None
        now = time.monotonic()
        self._check_pipelines(frame, now)
        if frame.connection is ConnectionState.LIVE:
            self._work.update(frame.states, now)
        else:
            self._work.interrupt()
        if self._has_all_pipelines(frame) and self._work.is_done(now):
            return ExitCode.OK if self._work.succeeded else ExitCode.FILES_FAILED
        limit = self._options.timeout_seconds
        if limit is not None and now - self._started_at >= limit:
            raise WaitTimeoutError(f"the work was not done within {limit:g} seconds: {self._work.summary()}")
        return None

    def _check_pipelines(self, frame: WatchFrame, now: float) -> None:
        """Raise ConfigurationError if a chosen pipeline has not been shown after a moment, unless it is waited for.

        The moment is for a service that has just started. A pipeline that was shown before comes back after a restart.
        """
        self._seen.update(frame.states)
        if self._options.wait or not frame.notice or self._seen.issuperset(self._options.pipelines or ()):
            self._unknown_since = None
        elif self._unknown_since is None:
            self._unknown_since = now
        elif now - self._unknown_since >= IDLE_SECONDS:
            raise ConfigurationError(f"{frame.notice}; use --wait to wait for it")

    def _is_fatal(self, connection: ConnectionState) -> bool:
        if connection is ConnectionState.CONNECTING:
            return not self._options.wait
        return connection.is_final

    def _has_all_pipelines(self, frame: WatchFrame) -> bool:
        return set(self._options.pipelines or ()) <= frame.states.keys()
