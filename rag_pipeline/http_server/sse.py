"""Server-Sent Events, the format that ``EventSource`` reads (HTML standard, section 9.2)."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.broadcast import Packet
from rag_pipeline.broadcast.follower import EventFollower, FollowerClosedError
from rag_pipeline.http_server.json_encoding import encode_text

RECONNECT_MILLISECONDS = 2_000
# Neither ends with an empty line: some readers take each block that ends with one for an event.
START = f"retry: {RECONNECT_MILLISECONDS}\n".encode()
KEEP_ALIVE = b": keep-alive\n"


def render(packets: Iterable[Packet]) -> bytes:
    """Return the events as Server-Sent Events; a client resumes from the ``id`` of the last one it saw."""
    return encode_text("".join(f"id: {p.offset}\nevent: {p.name}\ndata: {p.text}\n\n" for p in packets))


class SseStream:
    """A follower's events, rendered; a :class:`~rag_pipeline.http_server.content.Stream`."""

    keep_alive = KEEP_ALIVE

    def __init__(self, follower: EventFollower) -> None:
        self._follower = follower
        self._start = START

    def read(self, timeout_seconds: float) -> bytes | None:
        """Return the next events; empty if none came within the timeout, None when the follower is closed."""
        try:
            data = render(self._follower.next(timeout_seconds))
        except FollowerClosedError:
            return None
        if data:  # the first events tell the client when to reconnect
            data, self._start = self._start + data, b""
        return data

    def close(self) -> None:
        """Close the follower."""
        self._follower.close()
