"""Who may join a namespace, and until when; on the loop's thread."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple, NoReturn

from socketio.exceptions import ConnectionRefusedError as RefusedError

from rag_pipeline.access import Access, Guard, Refusal
from rag_pipeline.access.decision import not_allowed
from rag_pipeline.access.expiry_queue import Expiries
from rag_pipeline.contract.events import NAMESPACE_NAMES, resolve_namespace
from rag_pipeline.socket_server.loop import Environ, Loop

WAIT_SECONDS = 5.0
POLL_SECONDS = 0.05
DECIDED_A_TURN = 20
LOGGED_UNKNOWN = 100
SHOWN_CHARACTERS = 100
EXPECTED = f"{', '.join(NAMESPACE_NAMES[:-1])} or {NAMESPACE_NAMES[-1]}"

logger = logging.getLogger("rag_pipeline.socket")

Member = tuple[str, str]
"""A session id, and the name by which its client joined the namespace."""


class Admission:
    """Asks the guard about the token that a client has in the ``auth`` of its CONNECT."""

    def __init__(self, guard: Guard, loop: Loop) -> None:
        self._guard = guard
        self._loop = loop
        self._expiries: Expiries[Member] = Expiries()
        self._held: Counter[str] = Counter()  # how many CONNECTs of a client wait
        self._waiting: deque[_HeldConnect] = deque()
        self._looking = False
        self._unknown: set[str] = set()  # names of namespaces that were logged

    def refuse_unknown(self, name: str) -> NoReturn:
        """Refuse a namespace that does not exist; raises what the library answers with CONNECT_ERROR.

        Each name is logged once, up to a bound: names come from clients, who can make up any number of them.
        """
        shown = ascii(name[:SHOWN_CHARACTERS])
        if shown not in self._unknown and len(self._unknown) < LOGGED_UNKNOWN:
            self._unknown.add(shown)
            last = "; no more names are logged" if len(self._unknown) == LOGGED_UNKNOWN else ""
            logger.warning("a client asked for the unknown namespace %s: expected %s%s", shown, EXPECTED, last)
        raise RefusedError(f"there is no namespace {shown}: expected {EXPECTED}")

    def admit(self, sid: str, name: str, auth: object, environ: Environ) -> None:
        """Let the client join until its token expires; raises what the library answers with CONNECT_ERROR.

        A client that is told so ends, and does not come back by itself.
        """
        access = self._guard.check(_token(auth))
        if isinstance(access, Access) and not access.allows(resolve_namespace(name)):
            access = not_allowed(name)
        if isinstance(access, Refusal):
            address, forwarded_for = str(environ.get("REMOTE_ADDR")), environ.get("HTTP_X_FORWARDED_FOR")
            self._guard.refusals.note(access, lambda: address, forwarded_for)
            raise RefusedError(access.message, {"code": str(access.code)})
        if access.expires_at is not None:
            self._expiries.add((sid, name), access.expires_at)

    def forget(self, sid: str, name: str) -> None:
        """The client has left; one that is unknown is fine."""
        self._expiries.discard((sid, name))

    def expired(self, now: float, limit: int) -> list[Member]:
        """Return at most ``limit`` of those who have to leave at the wall-clock time ``now``, and forget them."""
        return self._expiries.due(now, limit)

    def when_decided(self, client: str, auth: object, proceed: Callable[[], None], gone: Callable[[], bool]) -> None:
        """Call back once the token can be decided about, mostly at once; not at all if the client is gone by then.

        To be refused would be final for a client whose token is signed with a key that is still on its way.
        """
        pending = self._guard.pending(_token(auth))
        # One for each name, so that no one has thousands of them waiting.
        if pending is None or self._held[client] >= len(NAMESPACE_NAMES):
            proceed()
            return
        self._held[client] += 1
        self._waiting.append(_HeldConnect(client, pending, proceed, gone, monotonic() + WAIT_SECONDS))
        self._look_in(POLL_SECONDS)

    def _look_in(self, seconds: float) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Let those go on that need not wait any more, a few in a turn: to verify a signature takes its time."""
        self._looking = False
        decided = 0
        for _ in range(len(self._waiting)):
            if decided == DECIDED_A_TURN:
                break
            held = self._waiting.popleft()
            if not held.gone() and held.pending() and monotonic() < held.deadline:
                self._waiting.append(held)
                continue
            self._held[held.client] -= 1
            if not self._held[held.client]:
                del self._held[held.client]
            if not held.gone():
                decided += 1
                _call(held.proceed)
        if self._waiting:
            self._look_in(0 if decided == DECIDED_A_TURN else POLL_SECONDS)

    def wait(self, auth: object, sleep: Callable[[float], None]) -> None:
        """Wait for the same where the caller may: in a greenlet, whose ``sleep`` lets the others go on."""
        pending = self._guard.pending(_token(auth))
        deadline = monotonic() + WAIT_SECONDS
        while pending is not None and pending() and monotonic() < deadline:
            sleep(POLL_SECONDS)


class _HeldConnect(NamedTuple):
    """A CONNECT that waits for its token's key."""

    client: str
    pending: Callable[[], bool]
    proceed: Callable[[], None]
    gone: Callable[[], bool]
    deadline: float


def _call(proceed: Callable[[], None]) -> None:
    try:
        proceed()
    except Exception:  # one that fails must not keep the others waiting
        logger.exception("a client could not be admitted")


def _token(auth: object) -> object:
    return auth.get("token") if isinstance(auth, dict) else None
