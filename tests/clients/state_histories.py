"""Real histories for tests in another language: a pipeline's events, and the state after each.

Reads lines of JSON, each a list of calls ``[name, arguments, keywords]`` of PipelineStatus, and answers with a list of
``[event name, payload, state after it]``.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from rag_pipeline.contract.state_reducer import apply_event
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


def history(calls: list[tuple[str, list[Any], dict[str, Any]]]) -> list[tuple[str, dict[str, Any], Any]]:
    """Make the calls on a new pipeline; return its events, each with the state of a client after it."""
    pipeline, recorder = PipelineStatus("local_files", "pictured"), Recorder()
    core_of(pipeline).attach(recorder)
    for name, arguments, keywords in calls:
        getattr(pipeline, name)(*arguments, **keywords)
    core_of(pipeline).flush(everything=True)
    pipeline.close()
    history_of_events: list[tuple[str, dict[str, Any], Any]] = []
    state: dict[str, Any] | None = None
    for place, event in enumerate(recorder.events, 1):
        payload = {"offset": f"00000000000000ff-{place:x}", **event.payload()}
        state = apply_event(state, event.name, payload)
        history_of_events.append((event.name, payload, state))
    return history_of_events


def main() -> None:
    """Answer until the end of input."""
    logging.disable(logging.WARNING)  # about files that were never started, which is intended here
    for line in sys.stdin:
        print(json.dumps(history(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
