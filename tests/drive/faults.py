"""Planned faults for coming requests, and random faults with a seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.drive.api_errors import ApiError
from tests.drive.api_errors import unauthorized as invalid_credentials

OF_API = frozenset(
    {"files.list", "files.get", "media", "files.export", "export_link", "changes.list", "changes.getStartPageToken"}
    | {"drives.get", "drives.list", "about.get"}
)
"""What fails unless a test says otherwise: all but signing in."""


PROJECT_REASONS = (
    *((403, reason) for reason in ("forbidden", "accessNotConfigured", "domainPolicy", "somethingNew")),
    *((403, reason) for reason in ("CONSUMER_SUSPENDED", "BILLING_DISABLED", "SECURITY_POLICY_VIOLATED")),
    (400, "failedPrecondition"),
)
"""What Drive refuses with, for a while, for reasons that are no file's."""
LONGEST_REFUSAL = 20
"""So many requests in a row at most."""


class Fault(NamedTuple):
    """A fault: an error response, a broken or stalled connection, or wrong bytes."""

    name: str
    refusal: ApiError | None = None
    token_gone: bool = False
    """The answer is what the Drive says of a page token that is gone."""
    delay_seconds: float = 0.0
    cut_headers: bytes | None = None
    """What is sent of the headers before the connection ends."""
    cut_after: int | None = None
    """So many bytes of the body are sent before the connection ends."""
    stall_after: int | None = None
    corrupt: bool = False
    cut_off: int = 0
    """So many bytes are missing at the end of an answer that is whole by its length."""


@dataclass
class Planned:
    """A fault for coming requests, and how many requests it has hit."""

    fault: Fault
    operation: str | None
    file: str | None
    times: int | None
    after: int
    hits: int = field(default=0)

    def is_for(self, operation: str, files: frozenset[str]) -> bool:
        """Whether the fault is planned for this request."""
        meant = operation in OF_API if self.operation is None else operation == self.operation
        return meant and (self.file is None or self.file in files)


class Faults:
    """All planned faults; consulted once for each request."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.random_hits = 0
        self.refusals = 0
        self._lock = threading.Lock()
        self._planned: list[Planned] = []
        self._random: random.Random | None = None
        self._rate = 0.0
        self._operations: frozenset[str] | None = None
        self._refusal_rate = 0.0
        self._refused: list[Fault] = []

    def add(
        self,
        fault: Fault,
        operation: str | None = None,
        *,
        file: str | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> Planned:
        """Let ``times`` requests fail, of an operation or about a file, after ``after`` others."""
        planned = Planned(fault, operation, file, times, after)
        with self._lock:
            self._planned.append(planned)
        return planned

    def clear(self) -> None:
        """Remove all planned faults, and release the stalled responses."""
        with self._lock:
            self._planned.clear()
        self.stop_random()
        self.release()

    def random(
        self, rate: float, seed: int, operations: frozenset[str] | None = None, *, refusal_rate: float = 0.0
    ) -> None:
        """From now on, let each request fail with this probability, in a way that a retry cures.

        With the probability ``refusal_rate`` a request is the first of some that are all refused for one reason, which
        is no file's: only a later look gets further.
        """
        with self._lock:
            self._random, self._rate, self._operations = random.Random(seed), rate, operations
            self._refusal_rate = refusal_rate

    def stop_random(self) -> None:
        """Stop the random faults."""
        with self._lock:
            self._random = None
            self._refused = []

    def release(self) -> None:
        """Release all stalled responses."""
        self.released.set()
        self.released = threading.Event()

    def close(self) -> None:
        """Remove all faults and release all stalls, for good."""
        self.clear()
        self.released.set()

    def met_by(self, operation: str, files: frozenset[str]) -> Fault | None:
        """Return the fault for a request, None if there is none."""
        with self._lock:
            for planned in self._planned:
                if planned.is_for(operation, files):
                    if planned.after > 0:
                        planned.after -= 1
                    elif planned.times is None or planned.hits < planned.times:
                        planned.hits += 1
                        return planned.fault
            return self._by_chance(operation)

    def _by_chance(self, operation: str) -> Fault | None:
        if self._random is None or operation not in (self._operations or OF_API):
            return None
        if self._refusal_rate and not self._refused and self._random.random() < self._refusal_rate:
            self.refusals += 1
            self._refused = [error(*self._random.choice(PROJECT_REASONS))] * self._random.randint(1, LONGEST_REFUSAL)
        if self._refused:
            return self._refused.pop()
        if self._random.random() >= self._rate:
            return None
        self.random_hits += 1
        return self._random.choice(list(_curable(operation, self._random)))


def error(status: int, reason: str, retry_after: str | None = None, message: str | None = None) -> Fault:
    """An error of this status and reason; ``retry_after``: seconds or a date, for that header."""
    headers = {"Retry-After": retry_after} if retry_after is not None else None
    return Fault(f"{status} {reason}", ApiError(status, reason, message, headers=headers))


def too_many(retry_after: str | None = None) -> Fault:
    """Too many requests: 429, with or without ``Retry-After``."""
    return error(429, "rateLimitExceeded", retry_after)


def server_error(status: int = 503, retry_after: str | None = None) -> Fault:
    """A server error: 500, 502, 503, 504."""
    return error(status, "backendError", retry_after)


def unauthorized() -> Fault:
    """An expired access token: 401."""
    return Fault("401 authError", invalid_credentials())


class _ForeignError(ApiError):
    """An error response without the form of Drive's errors."""

    def body(self) -> dict[str, Any]:
        return {}


def foreign(status: int, location: str | None = None) -> Fault:
    """A response of something in between, such as a proxy; ``location`` makes it a redirect."""
    headers = {"Location": location} if location is not None else None
    return Fault(f"foreign {status}", _ForeignError(status, "foreign", headers=headers))


def page_token_gone() -> Fault:
    """An expired page token."""
    return Fault("page token gone", token_gone=True)


def cut_headers(late: bool = False) -> Fault:
    """A connection that ends amid the headers; ``late``: http.client takes it for a response without a body."""
    sent = b"HTTP/1.1 200 OK\r\nContent-Ty" if late else b"HTTP/1.1 2"
    return Fault(f"cut in headers after {len(sent)}", cut_headers=sent)


def cut_body(after: int = 1) -> Fault:
    """A connection that ends amid the body."""
    return Fault(f"cut after {after}", cut_after=after)


def stall(after: int = 0) -> Fault:
    """A response that stops amid the body, with the connection open."""
    return Fault(f"stall after {after}", stall_after=after)


def corrupt() -> Fault:
    """Content of the right length and with wrong bytes."""
    return Fault("corrupt", corrupt=True)


def truncate(by: int = 1) -> Fault:
    """Content that is too short, in a complete response."""
    return Fault(f"short by {by}", cut_off=by)


def slow(seconds: float) -> Fault:
    """A correct response after a delay."""
    return Fault(f"slow by {seconds} s", delay_seconds=seconds)


def _curable(operation: str, chance: random.Random) -> Iterator[Fault]:
    yield too_many()
    yield too_many("0")
    yield error(403, "rateLimitExceeded")
    yield error(403, "userRateLimitExceeded")
    yield server_error(chance.choice((500, 502, 503, 504)))
    yield cut_headers()
    yield cut_headers(late=True)
    yield cut_body(chance.randrange(1, 2000))
    if operation != "export_link":
        yield unauthorized()
    if operation == "media":
        # Only content that has an md5: of exports nobody could notice.
        yield corrupt()
        yield truncate(1)
