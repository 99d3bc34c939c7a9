"""What several pipelines show in the terminal: a line for each file that is done, with the id of whose it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple, TextIO

from rag_pipeline.common.printing import printable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.sources.runner.output import Output
from rag_pipeline.sources.runner.terminal import MARKS, PLAIN_MARKS, Line, Service, addresses, line_of, summary
from rag_pipeline.status import PipelineStatus, Published, core_of

MAX_ID_WIDTH = 24


class Place(NamedTuple):
    """A pipeline, for people: its id, its type and what it follows."""

    pipeline_id: str
    kind: str
    place: str


class Lines:
    """Prints to ``out`` (default: stdout); used by one thread. :meth:`tick` several times a second keeps it up to date.

    It watches the pipelines as any client of the service does, by their events.
    """

    def __init__(self, statuses: Sequence[PipelineStatus], out: TextIO | None = None) -> None:
        self._out = Output(out)
        self._marks = MARKS if self._out.knows_unicode else PLAIN_MARKS
        self._began = time.monotonic()
        self._width = min(MAX_ID_WIDTH, max(len(status.pipeline_id) for status in statuses))
        self._happened: deque[Published] = deque()
        self._words: dict[str, str] = {}
        self._ears = [_Ear(status, self._happened) for status in statuses]

    def start(self, service: Service, places: Iterable[Place]) -> None:
        """Print what is followed, and where to look."""
        for one in places:
            self._print(one.pipeline_id, f"{one.kind:<12}  {printable(one.place)}")
        self._out.print("\n".join(f"{what:<11}{where}" for what, where in addresses(service)) + "\n")

    def tick(self) -> None:
        """Print what happened since."""
        while self._happened:
            event = self._happened.popleft()
            if not isinstance(event, Event) or event.pipeline_id is None:
                continue
            if event.name == events.STATUS:
                self._follow(event.pipeline_id, event)
            elif (line := line_of(event)) is not None:
                self._line(event.pipeline_id, line)

    def say(self, text: str) -> None:
        """Print a line about all of them."""
        self._out.print(text)

    def close(self, summarized: Container[str]) -> None:
        """Print what is left, and sum up for each of these pipelines what it did."""
        for ear in self._ears:
            ear.close()
        self.tick()
        for ear in self._ears:
            pipeline_id = ear.status.pipeline_id
            if pipeline_id in summarized:
                done = summary(core_of(ear.status).snapshot().attempts, time.monotonic() - self._began)
                self._print(pipeline_id, done)

    def _follow(self, pipeline_id: str, event: Event) -> None:
        """Print trouble and pauses, once, and that they are over."""
        state = event.payload()
        word, before = str(state["status"]), self._words.get(pipeline_id, "")
        told = f"error: {' '.join(str(state.get('message') or '').split())}" if word == "error" else word
        if told == before:
            return
        if word == "error":
            self._line(pipeline_id, Line("failed", "", printable(told)))
        elif word == "paused":
            self._line(pipeline_id, Line("skipped", "", "paused"))
        elif word in ("idle", "processing") and before:
            self._line(pipeline_id, Line("stored", "", "goes on"))
        else:
            return  # neither one nor the other yet
        self._words[pipeline_id] = told if word in ("error", "paused") else ""

    def _line(self, pipeline_id: str, line: Line) -> None:
        about = f"{line.name}  {line.about}" if line.name else line.about
        self._print(pipeline_id, f"{self._marks[line.kind]} {about}")

    def _print(self, pipeline_id: str, text: str) -> None:
        self._out.print(f"{pipeline_id:<{self._width}}  {text}")


class _Ear:
    """Listens to one pipeline; what it hears goes onto the one list of all, in the order it happened."""

    def __init__(self, status: PipelineStatus, happened: deque[Published]) -> None:
        self.status = status
        self._happened = happened
        core_of(status).attach(self)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take what the pipeline publishes."""
        self._happened.extend(items)

    def close(self) -> None:
        """Listen no more."""
        core_of(self.status).detach(self)
