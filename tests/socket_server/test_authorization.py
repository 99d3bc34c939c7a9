"""Who is admitted, and how long a client whose token's key is on its way is held, on a loop of the test's."""

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


class Deciding(Guard):
    """Decides as the test says."""

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
    """A loop, of which only timers are used here; the test lets them run out."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def run_out(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Held:
    """A client whose CONNECT may be held."""

    def __init__(self, decision: Access | AccessRefusal) -> None:
        self.guard = Deciding(decision)
        self.timers = Timers()
        self.authorizer = Authorizer(self.guard, self.timers)  # type: ignore[arg-type]
        self.proceeded = 0
        self.gone = False

    def connect(self) -> None:
        self.authorizer.when_decidable("client", AUTH, self.proceed, lambda: self.gone)

    def proceed(self) -> None:
        self.proceeded += 1


def test_an_access_admits_to_the_namespaces_that_it_allows_until_it_expires() -> None:
    authorizer = Held(Access(frozenset({"/local_files"}), 100.0)).authorizer
    authorizer.admit("first", "/local_files", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    authorizer.admit("second", "/local_files", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    authorizer.forget("first", "/local_files")
    assert authorizer.expired(99.9, 9) == []
    assert authorizer.expired(100.0, 9) == [("second", "/local_files")]
    assert authorizer.expired(100.0, 9) == []


def test_an_access_to_pipeline_admits_to_the_root_and_one_to_a_type_does_not() -> None:
    authorizer = Held(Access(frozenset({"/pipeline"}), 100.0)).authorizer
    authorizer.admit("sid", "/", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    assert authorizer.expired(100.0, 9) == [("sid", "/")]
    with pytest.raises(RefusedError) as refused:
        Held(Access(frozenset({"/local_files"}))).authorizer.admit("sid", "/", AUTH, {"REMOTE_ADDR": "192.0.2.1"})
    assert refused.value.error_args["message"] == "the token does not allow /"


@pytest.mark.parametrize("name", ["/nosuch", "/a\nb", "/\x1b[31m", "/" + "x" * 10_000])
def test_an_unknown_namespace_is_refused_on_one_bounded_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    authorizer = Held(EVERYTHING).authorizer
    for _ in range(3):
        with pytest.raises(RefusedError) as refused:
            authorizer.refuse_unknown(name)
    (told,) = caplog.messages
    for line in (told, refused.value.error_args["message"]):
        assert line.isprintable()
        assert len(line) < 300
        assert "/google_drive, /local_files, /pipeline or /" in line


def test_a_token_without_an_end_admits_for_ever() -> None:
    authorizer = Held(EVERYTHING).authorizer
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
        Held(decision).authorizer.admit("sid", "/pipeline", auth, {"REMOTE_ADDR": "192.0.2.1"})
    assert caught.value.error_args["data"] == {"code": code}
    assert caught.value.error_args["message"]


@pytest.mark.parametrize("decision", [EVERYTHING, INVALID])
def test_what_can_be_decided_is_decided_at_once(decision: Access | AccessRefusal) -> None:
    held = Held(decision)
    held.connect()
    assert held.proceeded == 1
    assert held.timers.waiting == []


def test_a_client_is_held_until_its_key_is_there() -> None:
    held = Held(PENDING)
    held.connect()
    for _ in range(3):
        held.timers.run_out()
    assert held.proceeded == 0
    held.guard.decision = EVERYTHING
    held.timers.run_out()
    assert held.proceeded == 1
    assert held.timers.waiting == []


def test_it_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(authorization, "monotonic", lambda: now)
    held = Held(PENDING)
    held.connect()
    held.timers.run_out()
    assert held.proceeded == 0
    now = authorization.WAIT_SECONDS
    held.timers.run_out()
    assert held.proceeded == 1


def test_one_that_left_meanwhile_is_forgotten() -> None:
    held = Held(PENDING)
    held.connect()
    held.gone = True
    held.timers.run_out()
    assert held.proceeded == 0
    assert held.timers.waiting == []
    assert not held.authorizer._waiting_of


def test_a_client_can_not_have_more_held_than_there_are_namespaces() -> None:
    held = Held(PENDING)
    for _ in range(10):
        held.connect()
    assert held.proceeded == 6
    held.guard.decision = EVERYTHING
    held.timers.run_out()
    assert held.proceeded == 10


def test_a_token_is_read_once_however_long_its_client_is_held() -> None:
    held = Held(PENDING)
    held.connect()
    for _ in range(50):
        held.timers.run_out()
    assert held.guard.read == 1


def test_many_that_are_held_share_one_timer_and_are_decided_about_a_few_in_a_turn() -> None:
    held = Held(PENDING)
    clients = 3 * authorization.DECIDED_A_TURN
    for number in range(clients):
        held.authorizer.when_decidable(f"client {number}", AUTH, held.proceed, lambda: False)
    held.timers.run_out()
    assert len(held.timers.waiting) == 1
    held.guard.decision = EVERYTHING
    held.timers.run_out()
    assert held.proceeded == authorization.DECIDED_A_TURN
    for _ in range(3):
        held.timers.run_out()
    assert held.proceeded == clients
    assert held.timers.waiting == []


def test_where_the_caller_may_wait_it_sleeps_until_then() -> None:
    held = Held(PENDING)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            held.guard.decision = EVERYTHING

    held.authorizer.wait(AUTH, sleep)
    assert slept == [authorization.POLL_SECONDS] * 3
