"""The limits of the HTTP server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the cost of one client, and on the number of clients.

    threads: workers that respond to complete requests; they never wait for a client.
    streams: open event streams. Each keeps a thread of its own, which does not count as one of ``threads``.
    waiting: clients that the server waits for.
    queued: requests that no thread is free for.
    unread_bytes: responses that clients have not read yet, in total.
    cpu_share, cpu_burst_seconds: share of a core that responses may take, and CPU time at once.
    request_seconds: from a request's first byte to the end of its headers.
    idle_seconds: between two requests. keep_alive_seconds: between two pieces of a quiet stream.
    write_seconds: until the client reads. linger_seconds: until the client closes.
    """

    threads: int = 64
    streams: int = 500
    waiting: int = 1_000
    queued: int = 512
    unread_bytes: int = 64 << 20
    cpu_share: float = 0.25
    cpu_burst_seconds: float = 1.0
    requests_per_connection: int = 1_000
    request_bytes: int = 32 * 1024
    request_seconds: float = 10.0
    idle_seconds: float = 15.0
    write_seconds: float = 10.0
    keep_alive_seconds: float = 15.0
    linger_seconds: float = 1.0
