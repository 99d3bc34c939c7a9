"""python-socketio's client over each transport: order, namespaces, and the state that a client rebuilds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.contract.checking import check_event
from tests.socket_server.support import (
    JsonDict,
    PollingSession,
    Session,
    StateClient,
    WebSocketSession,
    clients,
    hammer,
    in_threads,
    new_pipeline,
    serving,
    wait_until,
    without_volatile,
)
from tests.support.ordered_client import OrderedClient

pytestmark = pytest.mark.slow

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}


class PythonClient:
    """python-socketio's client; follows one pipeline in each namespace."""

    def __init__(
        self,
        port: int,
        transports: list[str],
        namespaces: tuple[str, ...] = ("/pipeline",),
        kind: type[socketio.Client] = OrderedClient,
    ) -> None:
        self.received: dict[str, list[tuple[str, JsonDict]]] = {namespace: [] for namespace in namespaces}
        self.ended: list[str] = []
        self.sio = kind(reconnection=False, handle_sigint=False)
        for namespace in namespaces:
            for name in events.EVENT_NAMES:
                self.sio.on(name, self._keeper(namespace, name), namespace=namespace)
            self.sio.on("disconnect", self.ended.append, namespace=namespace)
        self.sio.connect(
            f"http://127.0.0.1:{port}", namespaces=list(namespaces), transports=transports, wait_timeout=20
        )

    def _keeper(self, namespace: str, name: str) -> Callable[[JsonDict], None]:
        return lambda payload: self.received[namespace].append((name, payload))

    def wait_for(self, pipeline: PipelineStatus) -> None:
        """Wait until the pipeline's last event has come in each namespace."""
        wait_until(
            lambda: all(
                any(body["seq"] >= pipeline.get()["seq"] for _, body in received) for received in self.received.values()
            )
        )

    def check(self, pipeline: PipelineStatus) -> None:
        self.wait_for(pipeline)
        for received in self.received.values():
            client = StateClient()
            for name, payload in received.copy():
                check_event(name, payload)
                client.follow(name, payload)
            assert client.state is not None
            assert without_volatile(client.state) == without_volatile(pipeline.get())

    def __enter__(self) -> PythonClient:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:  # else its writer only notices after the ping interval
            self.sio.disconnect()
            self.sio.wait()


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def server(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    # Clients share the processor with the server here, and may fall behind by more than the default bound.
    with serving(pipeline, direct=request.param, backlog_limit_bytes=1 << 26) as running:
        yield running


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_python_client_sees_every_event_once_in_order(
    server: StatusServer, pipeline: PipelineStatus, transport: str
) -> None:
    if transport == "polling" and not server._sockets._direct:
        pytest.skip("the library answers a poll with more packets than its own client accepts")
    threads = hammer(pipeline, 2, 50)
    with PythonClient(server.socket_port, TRANSPORTS[transport], ("/pipeline", "/local_files")) as client:
        threads += hammer(pipeline, 2, 50)
        for thread in threads:
            thread.join()
        client.check(pipeline)
        wanted = "polling" if transport == "polling" else "websocket"
        assert client.sio.transport() == wanted


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_stock_python_client_gets_every_event_once_in_any_order(pipeline: PipelineStatus, transport: str) -> None:
    with (
        serving(pipeline, backlog_limit_bytes=1 << 26) as server,
        PythonClient(server.socket_port, TRANSPORTS[transport], kind=socketio.Client) as client,
    ):
        wait_until(lambda: bool(client.received["/pipeline"]))  # the snapshot has come
        for thread in hammer(pipeline, 2, 50):
            thread.join()

        def numbers() -> list[int]:
            received = client.received["/pipeline"].copy()
            return [body["seq"] for name, body in received if name != events.STATUS]

        wait_until(lambda: len(numbers()) >= 300)  # three for each file
        client.wait_for(pipeline)
        assert len(numbers()) == len(set(numbers())) == 300


def test_a_python_client_upgrades_under_load(server: StatusServer, pipeline: PipelineStatus) -> None:
    threads = hammer(pipeline, 3, 200)

    def watch(_number: int) -> None:
        with PythonClient(server.socket_port, TRANSPORTS["upgrade"]) as client:
            for thread in threads:
                thread.join()
            client.check(pipeline)

    in_threads(6, watch)


def test_a_client_that_leaves_and_returns_starts_from_a_fresh_snapshot(
    server: StatusServer, pipeline: PipelineStatus
) -> None:
    for round_number in range(3):
        pipeline.update(own={"round": round_number})
        with PythonClient(server.socket_port, ["websocket"]) as client:
            client.check(pipeline)
        wait_until(lambda: clients(server)["total"] == 0)


def test_the_stop_disconnects_clients_with_close(server: StatusServer, pipeline: PipelineStatus) -> None:
    with (
        PythonClient(server.socket_port, ["websocket"]) as websocket,
        PythonClient(server.socket_port, ["polling"]) as polling,
    ):
        websocket.check(pipeline)
        polling.check(pipeline)
        server.stop()
        for client in (websocket, polling):
            wait_until(lambda c=client: bool(c.ended))  # type: ignore[misc]
            assert len(client.ended) == 1
            assert client.ended[0] != "client disconnect"


# -- namespaces --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[WebSocketSession, PollingSession], ids=["websocket", "polling"])
def session(request: pytest.FixtureRequest, server: StatusServer) -> Iterator[Any]:
    with request.param(server.socket_port, namespace=None) as made:
        yield made


def events_until(session: Session, seq: int, *namespaces: str) -> dict[str, list[tuple[str, int]]]:
    """Return names and numbers of events by namespace, until each of these has shown ``seq``."""
    seen: dict[str, list[tuple[str, int]]] = {}
    while any(ns not in seen or seen[ns][-1][1] < seq for ns in namespaces):
        namespace, name, payload = session.receive_event()
        seen.setdefault(namespace, []).append((name, payload["seq"]))
    return seen


def test_the_snapshot_comes_after_connect_and_before_newer_events(session: Any, pipeline: PipelineStatus) -> None:
    for namespace in events.NAMESPACE_NAMES:
        session.connect(namespace)
        _, name, payload = session.receive_event()
        assert name == events.STATUS
        assert payload["seq"] == 0
        if namespace == "/google_drive":
            assert payload["pipeline_id"] is None
            assert payload["pipeline_type"] == "google_drive"
    pipeline.update(status="running")
    seen = events_until(session, 1, "/pipeline", "/local_files", "/")
    assert seen == {ns: [(events.STATUS, 1)] for ns in ("/pipeline", "/local_files", "/")}


def test_an_unknown_namespace_is_refused_and_the_connection_stays(session: Any) -> None:
    for unknown in ("/nowhere", "/pipeline/", "/PIPELINE"):
        session.send(f"40{unknown},")
        answer = session.receive()
        assert answer.startswith(f"44{unknown},"), answer
    session.connect("/pipeline")
    assert session.receive_event()[1] == events.STATUS


def test_a_second_connect_to_one_namespace_is_refused_and_nothing_comes_twice(
    session: Any, server: StatusServer, pipeline: PipelineStatus
) -> None:
    session.connect("/pipeline")
    session.receive_event()
    session.send("40/pipeline,")
    assert session.receive().startswith("44/pipeline,")
    pipeline.update(status="running")
    pipeline.update(status="idle")
    assert events_until(session, 2, "/pipeline") == {"/pipeline": [(events.STATUS, 1), (events.STATUS, 2)]}
    assert clients(server)["/pipeline"] == 1


def test_leaving_one_namespace_keeps_the_others(session: Any, server: StatusServer, pipeline: PipelineStatus) -> None:
    session.connect("/pipeline")
    session.receive_event()
    session.connect("/local_files")
    session.receive_event()
    session.send("41/pipeline,")
    wait_until(lambda: clients(server)["/pipeline"] == 0)
    pipeline.update(status="running")
    assert events_until(session, 1, "/local_files") == {"/local_files": [(events.STATUS, 1)]}
    session.connect("/pipeline")
    assert session.receive_event()[2]["seq"] == 1


def test_a_client_that_emits_connect_is_not_subscribed_twice(
    session: Any, server: StatusServer, pipeline: PipelineStatus
) -> None:
    session.connect("/pipeline")
    session.receive_event()
    session.send('42/pipeline,["connect",{},null]')
    pipeline.update(status="running")
    pipeline.update(status="idle")
    assert events_until(session, 2, "/pipeline") == {"/pipeline": [(events.STATUS, 1), (events.STATUS, 2)]}


def test_each_type_goes_to_its_own_namespace_and_all_to_pipeline() -> None:
    kinds = ("local_files", "google_drive", "s3", None)
    pipelines = [new_pipeline(kind) for kind in kinds]
    with serving(*pipelines) as server, WebSocketSession(server.socket_port, namespace=None) as session:
        expected = {"/pipeline": 4, "/local_files": 1, "/google_drive": 1}
        for namespace, count in expected.items():
            session.connect(namespace)
            assert len({session.receive_event()[2]["pipeline_id"] for _ in range(count)}) == count
        for pipeline in pipelines:
            pipeline.update(status="running")
        seen: dict[str, set[str | None]] = {}
        for _ in range(6):
            namespace, _, payload = session.receive_event()
            seen.setdefault(namespace, set()).add(payload["pipeline_type"])
        assert seen == {"/pipeline": set(kinds), "/local_files": {"local_files"}, "/google_drive": {"google_drive"}}


@pytest.mark.parametrize("text", ["grüße 日本語 🎉", 'quotes " and \\ and \x1e and \n', "\x00", "</script>"])
def test_any_text_arrives_unchanged(session: Any, pipeline: PipelineStatus, text: str) -> None:
    if "\x1e" in text and isinstance(session, PollingSession):
        text = text.replace("\x1e", "\\x1e")
    session.connect("/pipeline")
    session.receive_event()
    pipeline.update(own={"note": text})
    assert session.receive_event()[2]["note"] == text


# -- the property ------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a.pdf", "b.pdf", "c.pdf"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add_processing_file"), NAMES),
        st.tuples(st.just("file_progress"), NAMES, st.sampled_from(["extracting", "storing"])),
        st.tuples(st.just("complete_file"), NAMES, st.booleans()),
        st.tuples(st.just("skip_file"), NAMES, st.just("no reader")),
        st.tuples(st.just("delete_file"), NAMES),
        st.tuples(st.just("update"), st.integers(0, 9)),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(work=st.lists(STEPS, min_size=1, max_size=4), transport=st.sampled_from([WebSocketSession, PollingSession]))
def test_property_what_a_client_rebuilds_is_what_the_pipeline_holds(
    work: list[list[tuple[Any, ...]]], transport: Any
) -> None:
    pipeline = new_pipeline()

    def mutate(number: int, steps: list[tuple[Any, ...]]) -> None:
        for call, *arguments in steps:
            if call == "update":
                pipeline.update(files_queued=arguments[0])
            else:
                getattr(pipeline, call)(*arguments, file_id=f"{arguments[0]}-{number}")

    with serving(pipeline) as server, transport(server.socket_port) as client:
        threads = [threading.Thread(target=mutate, args=pair, daemon=True) for pair in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipeline.update(status="idle")  # so that delayed progress events have been sent
        client.follow(pipeline)
