"""Wait for the request to stop: Ctrl+C, SIGTERM, or a call."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

from rag_pipeline.common import native

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Handles SIGINT and SIGTERM while it is entered; only the main thread may enter it.

    The handler only writes to a descriptor, which is safe whatever the main thread is doing, even during a start.
    Later signals change nothing, because the stop is bounded in time. A forked child inherits the handlers; it restores
    the former ones at its first signal.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.received: signal.Signals | None = None
        self._wake_up = native.WakeUpFd()
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._former[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        self._wake_up.close()

    def request(self) -> None:
        """Request the stop, as a signal does; callable from any thread while entered."""
        self._wake_up.signal()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the request to stop; return False if it did not come in time."""
        ready, _, _ = select.select([self._wake_up.fd], [], [], timeout_seconds)
        return bool(ready)

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            self._restore()
            os.kill(os.getpid(), number)
            return
        self.received = self.received or signal.Signals(number)
        self._wake_up.signal()
