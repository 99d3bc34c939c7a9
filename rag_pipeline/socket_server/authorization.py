"""Checks the token of each CONNECT, and keeps when the admitted ones expire; on the loop's thread."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple, NoReturn

from socketio.exceptions import ConnectionRefusedError as RefusedError

from rag_pipeline.access import Access, AccessRefusal, Guard
from rag_pipeline.access.decision import not_allowed
from rag_pipeline.access.expiry_queue import ExpiryQueue
from rag_pipeline.contract.events import NAMESPACE_NAMES, resolve_namespace
from rag_pipeline.socket_server.loop import Environ, Loop

WAIT_SECONDS = 5.0
POLL_SECONDS = 0.05
DECIDED_A_TURN = 20
LOGGED_UNKNOWN = 100
SHOWN_CHARACTERS = 100
EXPECTED = f"{', '.join(NAMESPACE_NAMES[:-1])} or {NAMESPACE_NAMES[-1]}"

logger = logging.getLogger("rag_pipeline.socket")

Membership = tuple[str, str]
"""A session id, and the name of the namespace that its client joined."""


class Authorizer:
    """Checks the token in the ``auth`` of a CONNECT."""

    def __init__(self, guard: Guard, loop: Loop) -> None:
        self._guard = guard
        self._loop = loop
        self._expiries: ExpiryQueue[Membership] = ExpiryQueue()
        self._waiting: deque[_WaitingConnect] = deque()
        self._waiting_of: Counter[str] = Counter()  # waiting CONNECTs by client
        self._timer_set = False
        self._logged_unknown: set[str] = set()

    def refuse_unknown(self, name: str) -> NoReturn:
        """Refuse a namespace that does not exist: raise the error that the library sends as CONNECT_ERROR.

        Each name is logged once, up to a bound, because clients can make up any number of names.
        """
        shown = ascii(name[:SHOWN_CHARACTERS])
        if shown not in self._logged_unknown and len(self._logged_unknown) < LOGGED_UNKNOWN:
            self._logged_unknown.add(shown)
            last = "; no more names are logged" if len(self._logged_unknown) == LOGGED_UNKNOWN else ""
            logger.warning("a client asked for the unknown namespace %s: expected %s%s", shown, EXPECTED, last)
        raise RefusedError(f"there is no namespace {shown}: expected {EXPECTED}")

    def admit(self, sid: str, name: str, auth: object, environ: Environ) -> None:
        """Let the client join until its token expires, or raise the error that the library sends as CONNECT_ERROR.

        Client libraries do not reconnect by themselves after that error.
        """
        decision = self._guard.check(_token(auth))
        if isinstance(decision, Access) and not decision.allows(resolve_namespace(name)):
            decision = not_allowed(name)
        if isinstance(decision, AccessRefusal):
            address, forwarded_for = str(environ.get("REMOTE_ADDR")), environ.get("HTTP_X_FORWARDED_FOR")
            self._guard.refusals.note(decision, lambda: address, forwarded_for)
            raise RefusedError(decision.message, {"code": str(decision.code)})
        if decision.expires_at is not None:
            self._expiries.add((sid, name), decision.expires_at)

    def forget(self, sid: str, name: str) -> None:
        """Forget a client that has left; an unknown one is fine."""
        self._expiries.discard((sid, name))

    def expired(self, now: float, limit: int) -> list[Membership]:
        """Return and forget at most ``limit`` memberships that have expired at the wall-clock time ``now``."""
        return self._expiries.due(now, limit)

    def when_decidable(self, client: str, auth: object, proceed: Callable[[], None], gone: Callable[[], bool]) -> None:
        """Call ``proceed`` once the token can be checked, usually at once; never if the client has left by then.

        A client whose token needs a key that is still being fetched waits: a refusal would be final.
        """
        pending = self._guard.pending(_token(auth))
        # At most one for each namespace, so that no client has thousands of them waiting.
        if pending is None or self._waiting_of[client] >= len(NAMESPACE_NAMES):
            proceed()
            return
        self._waiting_of[client] += 1
        self._waiting.append(_WaitingConnect(client, pending, proceed, gone, monotonic() + WAIT_SECONDS))
        self._set_timer(POLL_SECONDS)

    def _set_timer(self, seconds: float) -> None:
        if not self._timer_set:
            self._timer_set = True
            self._loop.call_later(seconds, self._check_waiting)

    def _check_waiting(self) -> None:
        """Proceed with the CONNECTs whose key has come, a few in a turn: verifying a signature takes its time."""
        self._timer_set = False
        decided = 0
        for _ in range(len(self._waiting)):
            if decided == DECIDED_A_TURN:
                break
            connect = self._waiting.popleft()
            if not connect.gone() and connect.pending() and monotonic() < connect.deadline:
                self._waiting.append(connect)
                continue
            self._waiting_of[connect.client] -= 1
            if not self._waiting_of[connect.client]:
                del self._waiting_of[connect.client]
            if not connect.gone():
                decided += 1
                _call(connect.proceed)
        if self._waiting:
            self._set_timer(0 if decided == DECIDED_A_TURN else POLL_SECONDS)

    def wait(self, auth: object, sleep: Callable[[float], None]) -> None:
        """Wait until the token can be checked; for a greenlet, whose ``sleep`` lets others run."""
        pending = self._guard.pending(_token(auth))
        deadline = monotonic() + WAIT_SECONDS
        while pending is not None and pending() and monotonic() < deadline:
            sleep(POLL_SECONDS)


class _WaitingConnect(NamedTuple):
    """A CONNECT that waits for the key of its token."""

    client: str
    pending: Callable[[], bool]
    proceed: Callable[[], None]
    gone: Callable[[], bool]
    deadline: float


def _call(proceed: Callable[[], None]) -> None:
    try:
        proceed()
    except Exception:  # the other waiting CONNECTs still have to proceed
        logger.exception("a waiting CONNECT failed")


def _token(auth: object) -> object:
    return auth.get("token") if isinstance(auth, dict) else None
