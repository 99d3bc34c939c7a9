"""``/`` is another name for ``/pipeline``, on every transport, over restarts and with tokens."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engineio
import pytest
import socketio

from rag_pipeline.common.config import AuthSettings
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NAMESPACE_NAMES
from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server.authorization import LOGGED_UNKNOWN
from rag_pipeline.status.pipeline import PipelineStatus
from tests.access.signing import SECRET, shared
from tests.contract.checking import check_event
from tests.socket_server.support import (
    JsonDict,
    PollingSession,
    StateClient,
    WebSocketSession,
    clients,
    hammer,
    new_pipeline,
    parse,
    prefix,
    serving,
    wait_until,
    without_volatile,
)

pytestmark = pytest.mark.slow

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}
BOTH = ("/", "/pipeline")


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def server(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, direct=request.param) as running:
        yield running


@pytest.fixture(params=[WebSocketSession, PollingSession], ids=["websocket", "polling"])
def session(request: pytest.FixtureRequest, server: StatusServer) -> Iterator[Any]:
    with request.param(server.socket_port, namespace=None) as made:
        yield made


def names_and_numbers(session: Any, seq: int, *namespaces: str) -> dict[str, list[tuple[str, int]]]:
    """Return the events of each namespace, without summary statuses, until each has shown ``seq``."""
    seen: dict[str, list[tuple[str, int]]] = {namespace: [] for namespace in namespaces}
    last = dict.fromkeys(namespaces, -1)
    while any(number < seq for number in last.values()):
        namespace, name, payload = session.receive_event()
        if payload["seq"] > last[namespace]:
            seen[namespace].append((name, payload["seq"]))
            last[namespace] = payload["seq"]
    return seen


# -- stock clients -----------------------------------------------------------------------------------------------------


class InOrder(engineio.Client):  # type: ignore[misc]  # the library has no types
    """Handles each packet before it reads the next: the library's own way is a thread for each, in no order."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})


class LibraryClient(socketio.Client):  # type: ignore[misc]  # as above
    def _engineio_client_class(self) -> type[engineio.Client]:
        return InOrder


class StockClient:
    """python-socketio's client without a namespace, as its documentation begins."""

    def __init__(self, port: int, transports: list[str], *others: str) -> None:
        self.followed = {namespace: StateClient() for namespace in ("/", *others)}
        self.failures: list[BaseException] = []
        self.sio = LibraryClient(reconnection=False, handle_sigint=False)
        for namespace in self.followed:
            for name in events.EVENT_NAMES:
                self.sio.on(name, self._follow(namespace, name), namespace=namespace if others else None)
        self.sio.connect(f"http://127.0.0.1:{port}", transports=transports, wait_timeout=20)

    def _follow(self, namespace: str, name: str) -> Any:
        def follow(payload: JsonDict) -> None:
            try:
                check_event(name, payload)
                self.followed[namespace].follow(name, payload)
            except BaseException as error:  # noqa: BLE001 - raised by check()
                self.failures.append(error)

        return follow

    def check(self, pipeline: PipelineStatus) -> None:
        for client in self.followed.values():

            def up_to_date(client: StateClient = client) -> bool:
                assert self.failures == []
                return client.state is not None and client.state["seq"] >= pipeline.get()["seq"]

            wait_until(up_to_date)
            assert without_volatile(client.state or {}) == without_volatile(pipeline.get())

    def __enter__(self) -> StockClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sio.disconnect()
        self.sio.wait()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_python_client_that_names_no_namespace_sees_every_event_once_in_order(
    pipeline: PipelineStatus, transport: str
) -> None:
    with serving(pipeline) as server:
        threads = hammer(pipeline, 2, 30)
        with StockClient(server.socket_port, TRANSPORTS[transport]) as client:
            threads += hammer(pipeline, 2, 30)
            for thread in threads:
                thread.join()
            client.check(pipeline)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_python_client_in_both_namespaces_sees_every_event_once_in_each(
    pipeline: PipelineStatus, transport: str
) -> None:
    with serving(pipeline) as server:
        threads = hammer(pipeline, 2, 30)
        with StockClient(server.socket_port, TRANSPORTS[transport], "/pipeline") as client:
            threads += hammer(pipeline, 2, 30)
            for thread in threads:
                thread.join()
            client.check(pipeline)
            assert clients(server) == {"total": 1, "/google_drive": 0, "/local_files": 0, "/pipeline": 2}


# -- packets -----------------------------------------------------------------------------------------------------------


def test_both_names_get_the_same_events_and_leaving_one_keeps_the_other(
    session: Any, server: StatusServer, pipeline: PipelineStatus
) -> None:
    pipeline.update(status="running")
    for namespace in BOTH:
        session.connect(namespace)
        assert session.receive_event()[:2] == (namespace, events.STATUS)
    assert clients(server)["/pipeline"] == 2
    pipeline.add_processing_file("a.pdf", "a")
    pipeline.complete_file("a.pdf", file_id="a")
    pipeline.update(status="idle")
    expected = [(events.FILE_STARTED, 2), (events.FILE_COMPLETED, 3), (events.STATUS, 4)]
    assert names_and_numbers(session, 4, *BOTH) == dict.fromkeys(BOTH, expected)
    for leaving, staying in (BOTH, BOTH[::-1]):
        session.send(f"41{prefix(leaving)}")
        wait_until(lambda: clients(server)["/pipeline"] == 1)
        pipeline.update(status="running")
        seq = pipeline.get()["seq"]
        assert names_and_numbers(session, seq, staying)[staying][-1] == (events.STATUS, seq)
        session.connect(leaving)
        assert session.receive_event()[2]["seq"] == seq


def test_packets_of_the_root_have_no_namespace(session: Any, pipeline: PipelineStatus) -> None:
    session.connect("/")
    assert session.receive().startswith('42["pipeline:status",{')
    pipeline.update(status="running")
    packet = session.receive()
    assert packet.startswith('42["pipeline:status",{')
    assert parse(packet)[2]["status"] == "running"


def test_the_root_shows_pipelines_of_every_type() -> None:
    pipelines = [new_pipeline(kind) for kind in ("local_files", "google_drive", "s3", None)]
    with serving(*pipelines) as server, WebSocketSession(server.socket_port, namespace="/") as session:
        greeted = [session.receive_event()[2]["pipeline_id"] for _ in pipelines]
        for pipeline in pipelines:
            pipeline.update(status="running")
        updated = [session.receive_event()[2]["pipeline_id"] for _ in pipelines]
        assert greeted == updated == [pipeline.pipeline_id for pipeline in pipelines]
    with serving() as server, WebSocketSession(server.socket_port, namespace="/") as session:
        _, name, payload = session.receive_event()
        assert (name, payload["pipeline_id"], payload["pipeline_type"]) == (events.STATUS, None, None)


# -- after a break -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [("/", "/"), ("/pipeline", "/"), ("/", "/pipeline")])
@pytest.mark.parametrize("kind", [WebSocketSession, PollingSession], ids=["websocket", "polling"])
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "library"])
def test_an_offset_of_either_name_can_be_resumed_after_a_restart(
    pipeline: PipelineStatus, tmp_path: Path, before: str, after: str, kind: Any, direct: bool
) -> None:
    with (
        serving(pipeline, direct=direct, state_dir=tmp_path) as first,
        kind(first.socket_port, namespace=before) as seen,
    ):
        pipeline.update(status="running")
        while (payload := seen.receive_event()[2])["seq"] < 1:
            pass
        offset = payload["offset"]
    pipeline.add_processing_file("away.pdf", "away")
    pipeline.close()
    again = PipelineStatus(pipeline.pipeline_type, pipeline.pipeline_id)
    with serving(again, direct=direct, state_dir=tmp_path) as second:
        again.update(status="back")
        with kind(second.socket_port, namespace=after, auth={"offset": offset}) as session:
            received: list[JsonDict] = []
            while not received or received[-1].get("recovered") is None:
                namespace, _, payload = session.receive_event()
                assert namespace == after
                received.append(payload)
            assert received[-1]["recovered"] is True
            assert received[-1]["status"] == "back"
            numbers = [payload["seq"] for payload in received[:-1]]
            assert numbers == list(range(numbers[0], again.get()["seq"] + 1))
            again.update(status="live")
            assert session.receive_event()[2]["status"] == "live"


def test_connection_state_recovery_works_in_the_root(pipeline: PipelineStatus) -> None:
    def resume(port: int, auth: JsonDict) -> tuple[JsonDict, list[list[Any]]]:
        with WebSocketSession(port, namespace=None) as session:
            session.send(f"40{json.dumps({'recovery': True, **auth})}")
            connected = json.loads(session.receive().removeprefix("40"))
            events_received: list[list[Any]] = []
            while not events_received or events_received[-1][1]["seq"] < pipeline.get()["seq"]:
                events_received.append(json.loads(session.receive().removeprefix("42")))
            return connected, events_received

    with serving(pipeline) as server:
        pipeline.update(own={"step": 1})
        fresh, received = resume(server.socket_port, {})
        _, payload, offset = received[-1]
        assert offset == payload["offset"]
        pipeline.update(own={"step": 2})
        pipeline.update(own={"step": 3})
        recovered, received = resume(server.socket_port, {"pid": fresh["pid"], "offset": offset})
        assert recovered["pid"] == fresh["pid"]
        assert [payload["step"] for _, payload, _ in received[:1]] == [3], "the newer status replaces the older one"


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [["/pipeline"], ["/"], "/", "pipeline", ["/local_files", "/"]])
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "library"])
def test_a_token_for_either_name_allows_both(pipeline: PipelineStatus, claim: object, direct: bool) -> None:
    auth = {"token": shared(namespaces=claim)}
    with (
        serving(pipeline, direct=direct, auth=AuthSettings(jwt_secret=SECRET)) as server,
        WebSocketSession(server.socket_port, namespace=None) as session,
    ):
        for namespace in NAMESPACE_NAMES:
            session.connect(namespace, auth)
            assert session.receive_event()[0] == namespace


def test_a_token_for_one_type_is_refused_in_the_root(pipeline: PipelineStatus) -> None:
    with (
        serving(pipeline, auth=AuthSettings(jwt_secret=SECRET)) as server,
        WebSocketSession(server.socket_port, namespace=None) as session,
    ):
        session.send(f"40{json.dumps({'token': shared(namespaces=['/local_files'])})}")
        refused = json.loads(session.receive().removeprefix("44"))
        assert refused == {"message": "the token does not allow /", "data": {"code": "namespace_not_allowed"}}


def test_the_root_is_disconnected_when_its_token_expires(pipeline: PipelineStatus) -> None:
    with (
        serving(pipeline, auth=AuthSettings(jwt_secret=SECRET)) as server,
        WebSocketSession(server.socket_port, namespace="/", auth={"token": shared(seconds=1.5)}) as session,
    ):
        assert session.receive_event()[1] == events.STATUS
        assert session.receive() == "41"
        wait_until(lambda: server.health().body["clients"]["/pipeline"] == 0)  # type: ignore[index]


# -- namespaces that there are not -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", ["/nowhere", "/pipeline/", "/PIPELINE", "/*", "//", "/" + "x" * 5000, "/ünï"])
def test_the_refusal_of_an_unknown_namespace_names_the_existing_ones(
    session: Any, server: StatusServer, unknown: str
) -> None:
    session.send(f"40{unknown},")
    refused = json.loads(session.receive().removeprefix(f"44{unknown},"))
    assert list(refused) == ["message"]
    assert all(name in refused["message"] for name in NAMESPACE_NAMES)
    assert len(refused["message"]) < 500
    session.connect("/")
    assert session.receive_event()[1] == events.STATUS
    assert clients(server) == {"total": 1, "/google_drive": 0, "/local_files": 0, "/pipeline": 1}


def test_an_unknown_namespace_is_logged_once_for_all_clients(
    server: StatusServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with WebSocketSession(server.socket_port, namespace=None) as session:
            for name in ("/nowhere", "/elsewhere"):
                session.send(f"40{name},")
                session.receive()
    lines = [record.getMessage() for record in caplog.records if "namespace" in record.getMessage()]
    assert Counter(name for name in ("/nowhere", "/elsewhere") for line in lines if name in line) == {
        "/nowhere": 1,
        "/elsewhere": 1,
    }
    assert all("/google_drive, /local_files, /pipeline or /" in line for line in lines)


def test_a_flood_of_unknown_namespaces_does_not_flood_the_log(
    server: StatusServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for client in range(0, 3 * LOGGED_UNKNOWN, 5):  # a client with more refusals is disconnected
        with WebSocketSession(server.socket_port, namespace=None) as session:
            for number in range(client, client + 5):
                session.send(f"40/n{number},")
                assert json.loads(session.receive().partition(",")[2])["message"]
    messages = [record.getMessage() for record in caplog.records if "namespace" in record.getMessage()]
    assert len(messages) == LOGGED_UNKNOWN
    assert "no more" in messages[-1]
