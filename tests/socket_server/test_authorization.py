"""Authorization of CONNECTs: admission, expiry, and the wait for a key, on a fake loop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from socketio.exceptions import ConnectionRefusedError as RefusedError

from rag_pipeline.access import EVERYTHING, Access, AccessRefusal, Guard
from rag_pipeline.access.decision import INVALID, MISSING
from rag_pipeline.access.jwks import PENDING
from rag_pipeline.socket_server import authorization
from rag_pipeline.socket_server.authorization import Authorizer

AUTH = {"token": "good"}


class FixedGuard(Guard):
    """A guard with a fixed decision."""

    def __init__(self, decision: Access | AccessRefusal) -> None:
        super().__init__()
        self.decision = decision
        self.read = 0

    def check(self, token: object) -> Access | AccessRefusal:
        return MISSING if token is None else self.decision

    def pending(self, token: object) -> Callable[[], bool] | None:
        self.read += 1
        return self.is_pending if self.is_pending() else None

    def is_pending(self) -> bool:
        return isinstance(self.decision, AccessRefusal) and self.decision.pending


class Timers:
    """A loop with timers only; the test fires them."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class WaitingClient:
    """A client whose CONNECT may have to wait."""

    def __init__(self, decision: Access | AccessRefusal) -> None:
        self.guard = FixedGuard(decision)
        self.timers = Timers()
        self.authorizer = Authorizer(self.guard, self.timers)  # type: ignore[arg-type]
        self.proceeded = 0
        self.gone = False

    def connect(self) -> None:
        self.authorizer.when_decidable("sid", AUTH, self.proceed, lambda: self.gone)

    def proceed(self) -> None:
        self.proceeded += 1


def test_a_token_admits_to_its_namespaces_until_it_expires() -> None:
    authorizer = WaitingClient(Access(frozenset({"/local_files"}), 100.0)).authorizer
    authorizer.admit("first", "/local_files", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    authorizer.admit("second", "/local_files", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    authorizer.forget("first", "/local_files")
    assert authorizer.expired(99.9, 9) == []
    assert authorizer.expired(100.0, 9) == [("second", "/local_files")]
    assert authorizer.expired(100.0, 9) == []


def test_a_token_for_pipeline_allows_the_root_and_one_for_a_type_does_not() -> None:
    authorizer = WaitingClient(Access(frozenset({"/pipeline"}), 100.0)).authorizer
    authorizer.admit("sid", "/", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    assert authorizer.expired(100.0, 9) == [("sid", "/")]
    with pytest.raises(RefusedError) as refused:
        WaitingClient(Access(frozenset({"/local_files"}))).authorizer.admit(
            "sid", "/", AUTH, {"REMOTE_ADDR": "192.0.2.1"}
        )
    assert refused.value.error_args["message"] == "the token does not allow /"


@pytest.mark.parametrize("name", ["/nosuch", "/a\nb", "/\x1b[31m", "/" + "x" * 10_000])
def test_the_refusal_of_an_unknown_namespace_is_one_bounded_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    authorizer = WaitingClient(EVERYTHING).authorizer
    for _ in range(3):
        with pytest.raises(RefusedError) as refused:
            authorizer.refuse_unknown(name)
    (message,) = caplog.messages
    for line in (message, refused.value.error_args["message"]):
        assert line.isprintable()
        assert len(line) < 300
        assert "/google_drive, /local_files, /pipeline or /" in line


def test_a_token_without_expiry_never_expires() -> None:
    authorizer = WaitingClient(EVERYTHING).authorizer
    authorizer.admit("sid", "/pipeline", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    assert authorizer.expired(1e18, 9) == []


@pytest.mark.parametrize(
    ("decision", "auth", "code"),
    [
        (EVERYTHING, None, "token_missing"),
        (EVERYTHING, {}, "token_missing"),
        (EVERYTHING, "good", "token_missing"),
        (INVALID, AUTH, "token_invalid"),
        (Access(frozenset({"/local_files"})), AUTH, "namespace_not_allowed"),
        (PENDING, AUTH, "keys_unavailable"),
    ],
)
def test_a_refusal_has_a_message_and_a_code(decision: Access | AccessRefusal, auth: object, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        WaitingClient(decision).authorizer.admit("sid", "/pipeline", auth, {"REMOTE_ADDR": "192.0.2.1"})
    assert caught.value.error_args["data"] == {"code": code}
    assert caught.value.error_args["message"]


@pytest.mark.parametrize("decision", [EVERYTHING, INVALID])
def test_a_connect_proceeds_at_once_if_its_key_is_known(decision: Access | AccessRefusal) -> None:
    client = WaitingClient(decision)
    client.connect()
    assert client.proceeded == 1
    assert client.timers.waiting == []


def test_a_connect_waits_until_its_key_is_fetched() -> None:
    client = WaitingClient(PENDING)
    client.connect()
    for _ in range(3):
        client.timers.fire()
    assert client.proceeded == 0
    client.guard.decision = EVERYTHING
    client.timers.fire()
    assert client.proceeded == 1
    assert client.timers.waiting == []


def test_a_connect_waits_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(authorization, "monotonic", lambda: now)
    client = WaitingClient(PENDING)
    client.connect()
    client.timers.fire()
    assert client.proceeded == 0
    now = authorization.WAIT_SECONDS
    client.timers.fire()
    assert client.proceeded == 1


def test_the_waiting_connect_of_a_client_that_left_is_dropped() -> None:
    client = WaitingClient(PENDING)
    client.connect()
    client.gone = True
    client.timers.fire()
    assert client.proceeded == 0
    assert client.timers.waiting == []
    assert not client.authorizer._waiting_of


def test_a_client_has_at_most_one_waiting_connect_for_each_namespace() -> None:
    client = WaitingClient(PENDING)
    for _ in range(10):
        client.connect()
    assert client.proceeded == 6
    client.guard.decision = EVERYTHING
    client.timers.fire()
    assert client.proceeded == 10


def test_a_token_is_parsed_once_while_its_connect_waits() -> None:
    client = WaitingClient(PENDING)
    client.connect()
    for _ in range(50):
        client.timers.fire()
    assert client.guard.read == 1


def test_waiting_connects_share_one_timer_and_proceed_a_few_at_a_time() -> None:
    client = WaitingClient(PENDING)
    clients = 3 * authorization.DECIDED_A_TURN
    for number in range(clients):
        client.authorizer.when_decidable(f"client {number}", AUTH, client.proceed, lambda: False)
    client.timers.fire()
    assert len(client.timers.waiting) == 1
    client.guard.decision = EVERYTHING
    client.timers.fire()
    assert client.proceeded == authorization.DECIDED_A_TURN
    for _ in range(3):
        client.timers.fire()
    assert client.proceeded == clients
    assert client.timers.waiting == []


def test_wait_sleeps_until_the_key_is_fetched() -> None:
    client = WaitingClient(PENDING)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            client.guard.decision = EVERYTHING

    client.authorizer.wait(AUTH, sleep)
    assert slept == [authorization.POLL_SECONDS] * 3
