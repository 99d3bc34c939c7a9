"""Ask a server of this service one question over the network, to prove that it answers."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

from rag_pipeline.common.http_get import get

MAX_ANSWER_BYTES = 1 << 22


class ProbeResult(NamedTuple):
    """Status and JSON body of the answer; ``error`` says why there is none."""

    status: int | None
    body: Any
    seconds: float
    error: str | None

    @property
    def ok(self) -> bool:
        """Whether the server answered 200 with JSON."""
        return self.status == 200 and self.error is None


def probe(host: str, port: int, path: str, *, timeout_seconds: float = 2.0, token: str | None = None) -> ProbeResult:
    """Return the answer to ``GET path``; never raises, whatever the server does."""
    began = time.monotonic()
    status: int | None = None
    body = error = None
    try:
        answer = get(
            *(reachable(host), port, path), timeout_seconds=timeout_seconds, limit_bytes=MAX_ANSWER_BYTES, token=token
        )
        body = json.loads(answer.body)
        status = answer.status
        error = None if status == 200 else f"it answered {status}"
    except OSError as failure:
        error = failure.strerror or str(failure)
    except RecursionError:
        error = "not an answer of this service (its JSON is nested too deep)"
    except ValueError as failure:
        error = f"not an answer of this service ({failure})"
    return ProbeResult(status, body, time.monotonic() - began, error)


def reachable(host: str) -> str:
    """Return the address of a server that is bound to ``host``: loopback if it is bound to all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
