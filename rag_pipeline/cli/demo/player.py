"""Plays a script on a PipelineStatus, at any speed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol

from rag_pipeline.cli.demo.script import DURATION_SECONDS, hour
from rag_pipeline.cli.demo.steps import DemoStep, perform
from rag_pipeline.common.env import reject
from rag_pipeline.status.pipeline import PipelineStatus

DEFAULT_SPEED = 20.0
"""An hour in three minutes."""


class StopEvent(Protocol):
    """Ends a run early; a ``threading.Event`` is one."""

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether the run must end."""
        ...


class DemoPipeline:
    """A stub pipeline: calls PipelineStatus as a real one does, at the times of a script.

    ``speed`` is script seconds per real second; infinity plays without pauses. Raises ConfigurationError if it is not
    above 0.
    """

    def __init__(
        self, status: PipelineStatus, *, speed: float = DEFAULT_SPEED, steps: Sequence[DemoStep] | None = None
    ) -> None:
        if not speed > 0 or math.isnan(speed):
            reject("speed", speed, "a number above 0")
        self._status = status
        self._speed = speed
        self._steps = hour() if steps is None else steps

    def run(self, stop_event: StopEvent, *, loop: bool = False) -> bool:
        """Play the script, repeatedly with ``loop``; return False if the event ended it.

        Blocks its thread. At the end the status is ``stopped``.
        """
        finished = self._play(stop_event)
        while loop and finished:
            finished = self._play(stop_event)
        self._status.update(status="stopped", is_checking=False, next_check_time=None)
        return finished

    def _play(self, stop_event: StopEvent) -> bool:
        started_at = time.monotonic()

        def real_seconds(at: float) -> float:
            return started_at + at / self._speed - time.monotonic()

        for step in self._steps:
            if stop_event.wait(max(0.0, real_seconds(step.at))):
                return False
            perform(step.action, self._status, real_seconds, self._speed)
        # Stay idle until the next check, with which the script starts over.
        return not stop_event.wait(max(0.0, real_seconds(DURATION_SECONDS)) if self._steps else 1.0)
