"""What every source's faults work with: the place, the process, the endpoint, and what is known of them."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.faults.endpoint import FaultyEndpoint
from benchmarks.faults.known import Known
from benchmarks.faults.life import Life, wait_until
from benchmarks.faults.texts import Texts


class Card(NamedTuple):
    """A fault that can be dealt; ``times`` is how often a whole run has it."""

    name: str
    play: Callable[[], None]
    times: int = 1


class Place(Protocol):
    """A source that a pipeline follows, and what people do there."""

    kind: str

    def arguments(self) -> list[str]:
        """Return the arguments of the command that follows it."""
        ...

    def env(self) -> dict[str, str]:
        """Return the settings of the command."""
        ...

    def edit(self) -> None:
        """Do one of the things that people do, at random."""
        ...

    def write_new(self, lines: int | None = None) -> str:
        """Add a file; return its key."""
        ...

    def poison(self) -> str:
        """Make a stored file one that kills the process that reads it; return its key."""
        ...

    def cards(self) -> Sequence[Card]:
        """Return the faults of this kind of source."""
        ...

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        ...


@dataclass
class World:
    """The parts of one run; ``counts`` has how often each fault was injected."""

    chance: random.Random
    known: Known
    endpoint: FaultyEndpoint
    state: Path
    disk_is_small: bool
    texts: Texts
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    doing: str = "start"
    outages: int = 0
    outages_shown: int = 0
    _life: Life | None = None
    _place: Place | None = None

    @property
    def life(self) -> Life:
        """The pipeline's processes."""
        assert self._life is not None
        return self._life

    @property
    def place(self) -> Place:
        """The source."""
        assert self._place is not None
        return self._place

    def set(self, life: Life, place: Place) -> None:
        """Put in what is made of the other parts."""
        self._life, self._place = life, place

    def pause(self, low: float, high: float) -> None:
        """Let a while pass at random, in seconds."""
        threading.Event().wait(self.chance.uniform(low, high))

    def some_good(self) -> str:
        """Return the key of a file that is there."""
        return self.chance.choice(self.known.good())

    def some_settled(self, held_back: Collection[str]) -> str:
        """Return the key of a file whose newest version the pipeline has stored; not one that is held back."""
        free = [key for key in self.known.good() if key not in held_back]
        settled = [key for key in free if self.known.is_settled(key)]
        return self.chance.choice(settled or [self.place.write_new()])

    def come_back(self, key: str, name: str | None = None) -> None:
        """Note that a file is there again, after its text may have left the store."""
        text = self.known.come_back(key, name=name)
        with self.endpoint.lock:
            self.endpoint.embeddings.returned(text.words)

    def lose(self, keys: Collection[str], take_away: Callable[[], object]) -> None:
        """Take files away all at once, and wait until the pipeline holds their deletion."""
        self.wait(lambda: all(map(self.known.is_seen, keys)), "the files of the mass deletion", 90.0)
        take_away()
        self.wait_held(len(keys))
        self.pause(0.5, 1.5)

    def wait_held(self, count: int) -> None:
        """Wait until so many deletions are held."""
        self.wait(lambda: (self.life.status().get("deletions_held") or 0) >= count, "the held deletions")

    def wait_released(self) -> None:
        """Wait until no deletion is held any more."""

        def is_released() -> bool:
            status = self.life.status()
            return bool(status) and status.get("deletions_held") is None

        self.wait(is_released, "the end of the held deletions")

    def note(self, what: str) -> None:
        """Note something that is wrong: it fails the run."""
        self.notes.append(f"{self.doing}: {what}")
        print(f"  {self.notes[-1]}", file=sys.stderr, flush=True)

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 40.0) -> None:
        """Wait for something that has to come; what does not come is noted."""
        if not wait_until(lambda: self.life.mind() or condition(), seconds):
            self.note(f"{what} did not come within {seconds:g} s; the status was {_brief(self.life.status())}")


def _brief(status: dict[str, object]) -> dict[str, object]:
    names = ("status", "message", "files_queued", "files_in_flight", "deletions_held", "next_try_time")
    return {name: status.get(name) for name in names}
