"""Events as Server-Sent Events, the format that ``EventSource`` reads (HTML standard, section 9.2)."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.http_server.encoding import encode_text
from rag_pipeline.http_server.service_view import Follower, FollowerClosedError, Item

RETRY_MILLISECONDS = 2_000
# Both without an empty line: some readers take each block that ends with one for an event.
START = f"retry: {RETRY_MILLISECONDS}\n".encode()
KEEP_ALIVE = b": keep-alive\n"


def render(items: Iterable[Item]) -> bytes:
    """Return the events as the stream has them: a client resumes from the ``id`` of the last one it saw."""
    return encode_text("".join(f"id: {offset}\nevent: {name}\ndata: {text}\n\n" for offset, name, text in items))


class EventStream:
    """What a follower gives, rendered; a :class:`~rag_pipeline.http_server.content.Stream`."""

    keep_alive = KEEP_ALIVE

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._start = START

    def read(self, timeout_seconds: float) -> bytes | None:
        """Return the next events, empty when none came within the time, None when the follower is closed."""
        try:
            events = render(self._follower.next(timeout_seconds))
        except FollowerClosedError:
            return None
        if events:  # the first ones say when to come again
            events, self._start = self._start + events, b""
        return events

    def close(self) -> None:
        """Let go of the follower."""
        self._follower.close()
