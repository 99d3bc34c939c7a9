"""Tokens over Socket.IO, on both transports and both paths: joining, refusals, expiry."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import socketio

from rag_pipeline.common.config import AuthSettings
from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server import application
from rag_pipeline.status.pipeline import PipelineStatus
from tests.access.signing import SECRET, key_set, public_jwk, publishing, shared, signed
from tests.socket_server.support import (
    ClientClosedError,
    PollingSession,
    Session,
    WebSocketSession,
    new_pipeline,
    request,
    serving,
)
from tests.support.waiting import wait_until

TOKEN = "a-token-of-the-house"
AUTH = AuthSettings(tokens=("another-token-of-the-house", TOKEN), jwt_secret=SECRET)
SESSIONS: list[Any] = [WebSocketSession, PollingSession]


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def server(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, direct=request.param, auth=AUTH) as running:
        yield running


@pytest.fixture(params=SESSIONS, ids=["websocket", "polling"])
def session(request: pytest.FixtureRequest, server: StatusServer) -> Iterator[Session]:
    with request.param(server.socket_port, namespace=None) as client:
        yield client


def join(session: Session, namespace: str = "/pipeline", auth: object = None) -> dict[str, Any] | None:
    """Join a namespace; return None, or the content of CONNECT_ERROR."""
    session.send(f"40{namespace}," + ("" if auth is None else json.dumps(auth)))
    while True:
        packet = session.receive()
        if packet.startswith(f"40{namespace},"):
            return None
        if packet.startswith(f"44{namespace},"):
            refused: dict[str, Any] = json.loads(packet.removeprefix(f"44{namespace},"))
            return refused


def code(refused: dict[str, Any] | None) -> str | None:
    return None if refused is None else refused["data"]["code"]


def wait_for_disconnect(session: Session, namespace: str = "/pipeline") -> None:
    while session.receive() != f"41{namespace},":
        pass


def wait_for_end(session: Session) -> None:
    with contextlib.suppress(ClientClosedError):
        while session.receive():
            pass


# -- joining -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("auth", [None, {}, {"token": ""}, {"token": None}, {"offset": "x"}, [], "text", 5])
def test_no_namespace_can_be_joined_without_a_token(session: Session, auth: object) -> None:
    for namespace in ("/pipeline", "/local_files", "/google_drive"):
        refused = join(session, namespace, auth)
        assert code(refused) == "token_missing"
        assert refused is not None
        assert refused["message"] == "a token is needed to see this"


def test_every_shared_token_allows_every_namespace(session: Session, pipeline: PipelineStatus) -> None:
    assert join(session, "/pipeline", {"token": TOKEN}) is None
    session.follow(pipeline)
    assert join(session, "/local_files", {"token": AUTH.tokens[0]}) is None
    assert join(session, "/google_drive", {"token": TOKEN, "recovery": True}) is None


def test_a_valid_token_is_accepted_after_an_invalid_one_on_the_same_connection(
    session: Session, pipeline: PipelineStatus
) -> None:
    for token in (TOKEN[:-1], TOKEN + "x", shared("another secret of sufficient length"), 5, {"token": TOKEN}):
        assert code(join(session, auth={"token": token})) == "token_invalid"
    assert code(join(session, auth={"token": shared(seconds=-5)})) == "token_expired"
    assert join(session, auth={"token": TOKEN}) is None
    session.follow(pipeline)


def test_a_token_may_be_limited_to_namespaces(session: Session) -> None:
    auth = {"token": shared(namespaces=["/local_files"])}
    assert code(join(session, "/pipeline", auth)) == "namespace_not_allowed"
    assert code(join(session, "/google_drive", auth)) == "namespace_not_allowed"
    assert join(session, "/local_files", auth) is None
    assert session.receive_event()[0] == "/local_files"


def test_a_refused_client_sees_no_event(server: StatusServer, pipeline: PipelineStatus) -> None:
    with WebSocketSession(server.socket_port, namespace=None) as refused_client:
        assert code(join(refused_client)) == "token_missing"
        with WebSocketSession(server.socket_port, auth={"token": TOKEN}) as member:
            pipeline.add_processing_file("secret-plan.pdf")
            member.follow(pipeline)
        # The next packet is the answer to its next CONNECT, not an event.
        refused_client.send("40/pipeline,")
        assert refused_client.receive().startswith("44/pipeline,")


def test_a_refusal_logs_neither_tokens_nor_file_names(
    session: Session, pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pipeline.add_processing_file("secret-plan.pdf")
    wrong = "wrong-token-of-a-client"
    assert code(join(session, auth={"token": wrong})) == "token_invalid"
    assert join(session, auth={"token": TOKEN}) is None
    for secret in (wrong, TOKEN, SECRET, "secret-plan"):
        assert secret not in caplog.text
    warnings = [record for record in caplog.records if record.levelno > logging.INFO]
    assert [record.name for record in warnings] == ["rag_pipeline.access"]


def test_no_token_is_required_if_none_is_configured(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as open_server, WebSocketSession(open_server.socket_port, auth={"token": "any"}) as client:
        client.follow(pipeline)


# -- the end of a token ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_expired_token_ends_its_namespaces_and_no_others(session: Session, pipeline: PipelineStatus) -> None:
    assert join(session, "/local_files", {"token": TOKEN}) is None
    assert join(session, "/pipeline", {"token": shared(seconds=5)}) is None
    assert join(session, "/google_drive", {"token": shared(seconds=3600)}) is None
    wait_for_disconnect(session)
    pipeline.update(status="afterwards")
    while True:
        namespace, _, payload = session.receive_event()
        assert namespace != "/pipeline"
        if payload["status"] == "afterwards":
            break
    assert code(join(session, "/pipeline", {"token": shared(seconds=-1)})) == "token_expired"
    assert join(session, "/pipeline", {"token": shared()}) is None


@pytest.mark.slow
def test_a_client_that_left_is_not_disconnected_when_its_token_expires(
    server: StatusServer, pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    with WebSocketSession(server.socket_port, namespace=None) as client:
        assert join(client, auth={"token": shared(seconds=4)}) is None
        client.send("41/pipeline,")
        assert join(client, auth={"token": TOKEN}) is None
        until = time.time() + 4.6
        while time.time() < until:
            pipeline.update(own={"tick": time.time()})
            assert not client.receive().startswith("41")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.slow
def test_all_clients_are_disconnected_when_many_tokens_expire_together(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "EXPIRED_A_TURN", 7)
    with serving(pipeline, auth=AUTH) as server, contextlib.ExitStack() as stack:
        token = {"token": shared(seconds=15)}
        members = [stack.enter_context(WebSocketSession(server.socket_port, auth=token)) for _ in range(50)]
        for member in members:
            wait_for_disconnect(member)


# -- those who join nothing --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_unjoined_connection_is_closed_after_a_while(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "JOIN_SECONDS", 1.0)
    with (
        WebSocketSession(server.socket_port, namespace=None) as silent,
        WebSocketSession(server.socket_port, namespace=None) as refused,
        PollingSession(server.socket_port, namespace=None) as polling,
        WebSocketSession(server.socket_port, auth={"token": TOKEN}) as member,
    ):
        assert code(join(refused)) == "token_missing"
        assert code(join(polling)) == "token_missing"
        for refused_client in (silent, refused, polling):
            wait_for_end(refused_client)
        member.send("41/pipeline,")
        wait_for_end(member)


@pytest.mark.slow
def test_a_client_stays_connected_if_other_namespaces_were_refused(
    server: StatusServer, pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "JOIN_SECONDS", 0.5)
    with (
        WebSocketSession(server.socket_port, namespace=None) as member,
        WebSocketSession(server.socket_port, namespace=None) as refused_client,
    ):
        assert join(member, "/local_files", {"token": TOKEN}) is None
        assert code(join(member, "/pipeline")) == "token_missing"
        wait_for_end(refused_client)
        pipeline.update(status="still here")
        while member.receive_event()[2]["status"] != "still here":
            pass


# -- published keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "library"])
@pytest.mark.parametrize("kind", SESSIONS, ids=["websocket", "polling"])
def test_a_client_waits_while_its_key_is_being_fetched(
    pipeline: PipelineStatus, kind: Any, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.access.jwks.START_SECONDS", 0.01)
    with publishing(key_set(public_jwk("ES256"))) as keys:
        keys.open.clear()
        with (
            serving(pipeline, direct=direct, auth=AuthSettings(jwks_url=keys.url)) as server,
            kind(server.socket_port, namespace=None) as client,
            WebSocketSession(server.socket_port, namespace=None) as other,
        ):
            # On a thread, because over polling the request itself may wait.
            asking = threading.Thread(target=client.send, args=("40/pipeline," + json.dumps({"token": signed()}),))
            asking.start()
            assert code(join(other)) == "token_missing", "no one else waits"
            keys.open.set()
            assert client.receive().startswith("40/pipeline,")
            asking.join(30)
            client.follow(pipeline)
            assert code(join(other, auth={"token": signed("ES256", "unknown")})) == "token_invalid"


def test_a_rotated_key_is_fetched_while_its_first_client_waits(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.access.jwks.COOLDOWN_SECONDS", 0.0)
    with (
        publishing(key_set(public_jwk("ES256"))) as keys,
        serving(pipeline, auth=AuthSettings(jwks_url=keys.url)) as server,
    ):
        keys.document = key_set(public_jwk("ES256", "second"))
        with WebSocketSession(server.socket_port, auth={"token": signed("ES256", "second")}) as client:
            client.follow(pipeline)


def test_unavailable_keys_have_their_own_code_and_do_not_disturb_others(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        publishing(b"no keys") as keys,
        serving(pipeline, auth=AuthSettings(tokens=(TOKEN,), jwks_url=keys.url)) as server,
    ):
        for _ in range(5):
            with WebSocketSession(server.socket_port, namespace=None) as client:
                assert code(join(client, auth={"token": signed()})) == "keys_unavailable"
                assert join(client, auth={"token": TOKEN}) is None
    assert len([record for record in caplog.records if record.levelno > logging.INFO]) == 1


# -- /health -----------------------------------------------------------------------------------------------------------


def test_health_shows_client_counts_to_the_service_only(server: StatusServer) -> None:
    refused_clients: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}"},
    ]
    with WebSocketSession(server.socket_port, auth={"token": TOKEN}):
        for headers in refused_clients:
            status, _, body = request(server.socket_port, "/health", "GET", None, **headers)
            assert (status, json.loads(body)) == (200, {"status": "ok"})
        assert server.health().body["clients"] == {"total": 1, "/google_drive": 0, "/local_files": 0, "/pipeline": 1}


# -- python-socketio's own client --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_refused_python_client_raises_and_does_not_reconnect(server: StatusServer, transport: str) -> None:
    client = socketio.Client()
    errors: list[Any] = []
    client.on("connect_error", errors.append, namespace="/pipeline")
    try:
        with pytest.raises(socketio.exceptions.ConnectionError, match="/pipeline"):
            client.connect(
                f"http://127.0.0.1:{server.socket_port}",
                namespaces=["/pipeline"],
                auth={"token": "wrong-token-of-a-client"},
                transports=[transport],
                wait_timeout=60,
            )
        assert errors == [{"message": "the token is not valid", "data": {"code": "token_invalid"}}]
        assert not client.connected
        assert client._reconnect_task is None
    finally:
        client.shutdown()


@pytest.mark.slow
def test_a_python_client_whose_token_expires_does_not_reconnect(server: StatusServer) -> None:
    client = socketio.Client()
    ended: list[str] = []
    client.on("disconnect", ended.append, namespace="/pipeline")
    try:
        client.connect(
            f"http://127.0.0.1:{server.socket_port}",
            namespaces=["/pipeline"],
            auth={"token": shared(seconds=8)},
            transports=["websocket"],
            wait_timeout=60,
        )
        wait_until(lambda: ended)
        wait_until(lambda: not client.connected)
        assert ended == [client.reason.SERVER_DISCONNECT]
        assert client._reconnect_task is None
    finally:
        client.shutdown()
