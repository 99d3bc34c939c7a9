"""The thread that follows a service: connects, sees to the connection, and comes back after it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import requests

from rag_pipeline.client.address import Address, Target, target_of
from rag_pipeline.client.backoff import Backoff
from rag_pipeline.client.connection import Connection
from rag_pipeline.client.refusal import RENEWABLE
from rag_pipeline.client.state import Board, Standing
from rag_pipeline.errors import AccessDeniedError, UnreachableError

logger = logging.getLogger("rag_pipeline.client")

TICK_SECONDS = 0.25
STEADY_SECONDS = 5.0
"""A connection that lasted so long was a good one: the next delay is the first again."""

Token = str | Callable[[], str | None] | None


class Plan(NamedTuple):
    """What to follow, and how; without a ``namespace`` the address may name it."""

    address: Address
    namespace: str | None
    token: Token
    transports: Sequence[str]
    timeout_seconds: float
    reconnect_delay_seconds: float
    reconnect_delay_max_seconds: float
    give_up_after_seconds: float | None


def usable_transports() -> tuple[str, ...]:
    """Return the transports that the installed libraries can do, the better one first."""
    return ("websocket", "polling") if find_spec("websocket") is not None else ("polling",)


class Tender:
    """Runs on one thread; :meth:`stop` may be called from any."""

    def __init__(self, plan: Plan, board: Board) -> None:
        self._plan = plan
        self._board = board
        self._backoff = Backoff(plan.reconnect_delay_seconds, plan.reconnect_delay_max_seconds)
        self._stop = threading.Event()
        self._connection: Connection | None = None
        self._target: Target | None = None  # once it is known, until it can't be reached
        self._answered = False  # ever
        self._lost_at = time.monotonic()
        self._asked_again = False  # for another token, since one was accepted

    def run(self) -> None:
        """Follow until it is stopped, is refused, or gives up; never raises."""
        try:
            while not self._stop.is_set():
                delay = self._once()
                if delay is None:
                    return
                self._stop.wait(delay)
        except Exception as error:
            # A mistake of ours: whoever waits is told, and the host program goes on.
            logger.exception("following %s has failed", self._plan.address)
            self._board.stand(Standing.CLOSED, error)

    def stop(self) -> None:
        """Ask for the end, and end the waits under way."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    def _once(self) -> float | None:
        """Follow until the connection is over; return the seconds until the next attempt, None if there is none."""
        try:
            reason = self._follow()
        except AccessDeniedError as error:
            if callable(self._plan.token) and error.code in RENEWABLE and not self._asked_again:
                self._asked_again = True
                return 0.0
            self._board.stand(Standing.REFUSED, error)
            return None
        except UnreachableError as error:
            reason = str(error)
        if self._stop.is_set():
            return None
        return self._after(reason)

    def _after(self, reason: str) -> float | None:
        """Tell why there is no connection; return the delay before the next attempt."""
        address = self._plan.address if self._target is None else self._target.address
        error = UnreachableError(f"no connection to {address}: {reason}")
        self._target = None  # a service that comes back may have other ports
        limit, away = self._plan.give_up_after_seconds, time.monotonic() - self._lost_at
        if limit is not None and away >= limit:
            self._board.stand(Standing.CLOSED, error)
            return None
        self._board.stand(Standing.RECONNECTING if self._answered else Standing.CONNECTING, error)
        delay = self._backoff.delay()
        return delay if limit is None else min(delay, limit - away)

    def _follow(self) -> str:
        """Connect, and see to the connection until it is over; return why it is."""
        plan = self._plan
        with requests.Session() as session:
            session.trust_env = not plan.address.loopback
            token = self._token()
            if self._target is None:
                self._target = target_of(
                    plan.address, plan.namespace, session, token=token, timeout_seconds=plan.timeout_seconds
                )
            address, namespace = self._target
            auth = {"token": token, "offset": self._board.begin(namespace)}
            connection = Connection(address, namespace, session, self._board.receive)
            self._connection = connection
            if self._stop.is_set():  # it came before there was a connection to interrupt
                connection.interrupt()
            connection.open(
                {key: value for key, value in auth.items() if value is not None}, plan.transports, plan.timeout_seconds
            )
            try:
                return self._see_to(connection)
            finally:
                connection.close()

    def _see_to(self, connection: Connection) -> str:
        began = time.monotonic()
        self._answered, self._asked_again = True, False
        self._board.stand(Standing.LIVE)  # which the board shows as catching up until it has caught up
        reason = None
        while reason is None and not connection.wait(TICK_SECONDS):
            if self._board.tick():
                reason = "events were missing, and a fresh picture is fetched"
        self._lost_at = time.monotonic()
        if self._lost_at - began >= STEADY_SECONDS:
            self._backoff.reset()
        return reason or connection.reason

    def _token(self) -> str | None:
        token = self._plan.token
        if not callable(token):
            return token or None
        try:
            return token() or None
        except Exception as error:  # noqa: BLE001 - whatever the host's function raises
            # Its message is not shown: there may be a secret in it.
            logger.warning("the token could not be had: %s", type(error).__name__)
            raise UnreachableError(f"the token could not be had ({type(error).__name__})") from None
