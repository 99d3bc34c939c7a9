from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from rag_pipeline.status import clocks
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import DueFlush
from tests.support.recorder import Recorder


class Clock:
    """Both clocks; they stand still until :meth:`sleep`. ``lost`` yields the seconds that pass after each reading."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lost: Iterator[float] | None = None) -> None:
        self._seconds = 1000.0
        self._lost = lost or itertools.repeat(0.0)
        monkeypatch.setattr(clocks, "monotonic", self._read)
        monkeypatch.setattr(clocks, "wall", lambda: 1_700_000_000.0 + self._read())

    def _read(self) -> float:
        read = self._seconds
        self._seconds += next(self._lost)
        return read

    def sleep(self, seconds: float) -> None:
        self._seconds += seconds


class Deliverer:
    """Runs due flushes as the hub does, on a thread while it is entered."""

    def __init__(self, pipeline: PipelineStatus) -> None:
        self.recorder = Recorder()
        self._pipeline = pipeline
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        seen = 0
        due: list[float] = []
        while not self._stop.is_set():
            items = self.recorder.items
            due += [item.due for item in items[seen:] if isinstance(item, DueFlush)]
            seen = len(items)
            if due and min(due) <= time.monotonic():
                due = [at for at in due if at > time.monotonic()]
                core_of(self._pipeline).flush()
            self._stop.wait(0.002)

    def __enter__(self) -> Recorder:
        core_of(self._pipeline).attach(self.recorder)
        self._thread.start()
        return self.recorder

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
