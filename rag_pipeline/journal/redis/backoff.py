"""The pause between two tries at something that fails: longer each time, up to a bound."""

from __future__ import annotations

from rag_pipeline.common import native

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 2.0
REFUSED_SECONDS = 10.0
"""The pause after an error that trying again won't mend: somebody has to change something first."""


class Pause:
    """One thread waits; any may end the wait for good."""

    def __init__(self) -> None:
        self.seconds = self._next = FIRST_SECONDS
        self._signal = native.AutoResetEvent()

    def wait(self) -> None:
        """Wait for as long as it has come to; not at all after :meth:`end`."""
        if self._signal.wait(self.seconds):
            self._signal.signal()  # it stays ended

    def longer(self, *, refused: bool = False) -> None:
        """Double the next pause, the first after a success being the shortest; after a refusal wait long at once."""
        self.seconds = REFUSED_SECONDS if refused else min(self._next, LONGEST_SECONDS)
        self._next = min(self.seconds, LONGEST_SECONDS) * 2

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._next = FIRST_SECONDS

    def end(self) -> None:
        """End this wait and all later ones."""
        self._signal.signal()
