"""Asks a store all the time for texts whose file is there: each has to be found, whatever goes on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from benchmarks.faults.known import Asked, Known, Shown
from benchmarks.faults.texts import normal
from rag_pipeline.ingest.types import SearchHit
from tests.sources.endpoint import vector

PAUSE_SECONDS = 0.02
HITS = 100
AT_ONCE = 6
"""So many files are asked for with one search: their few chunks all fit into what it shows."""


class Searched(Protocol):
    """A store that can be searched."""

    def search(
        self, question: str, vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]], *, limit: int = 5
    ) -> list[SearchHit]: ...


class Miss(NamedTuple):
    """A search that did not find a good text, or that failed."""

    seconds: float
    name: str
    why: str


class Prober:
    """Asks on a thread of its own; a context manager. ``doing`` says what goes on, for misses."""

    def __init__(self, store: Searched, known: Known, chance: random.Random, doing: Callable[[], str]) -> None:
        self.asked = 0
        self.searches = 0
        self.misses: list[Miss] = []
        self._store = store
        self._known = known
        self._chance = chance
        self._doing = doing
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def ask_once(self) -> None:
        """Ask for some of the good files, with one search."""
        good = self._known.good()
        some = self._chance.sample(good, min(len(good), AT_ONCE))
        asked = [one for key in some if (one := self._known.ask(key)) is not None]
        if any(one.is_long for one in asked):
            asked = [one for one in asked if one.is_long][:1]  # its chunks would leave no room for others
        if not asked:
            return
        question = " ".join(one.question for one in asked)
        try:
            found = self._store.search(question, np.array(vector(question), np.float32), limit=HITS)
        except Exception as error:  # noqa: BLE001 - a search that fails shows nothing
            self._miss(asked[0], f"the search failed: {error}")
            return
        self.searches += 1
        shown = [Shown(hit.name, normal(hit.text)) for hit in found]
        for one in asked:
            self.asked += one.seen
            if not self._known.judge(one, shown):
                again = "found" if self._finds(one.key) else "not found"
                self._miss(one, f"{again} when asked again")

    def _finds(self, key: str) -> bool:
        asked = self._known.ask(key)
        if asked is None:
            return True
        found = self._store.search(asked.question, np.array(vector(asked.question), np.float32), limit=HITS)
        return self._known.judge(asked, [Shown(hit.name, normal(hit.text)) for hit in found])

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            self.ask_once()

    def _miss(self, asked: Asked, why: str) -> None:
        name = self._known.name(asked.key)
        self.misses.append(Miss(time.monotonic() - self._began, name, f"{self._doing()}: {why}"))
