"""A service view with fixed contents, a running server, and a client that works on raw bytes."""

from __future__ import annotations

import http.client
import json
import socket
import time

# The C class behind queue.SimpleQueue: it waits natively in a patched host program too.
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.broadcast import Packet, PacketBatch
from rag_pipeline.broadcast.follower import EventFollower
from rag_pipeline.common.config import Settings
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.contract import events
from rag_pipeline.contract.events import iso
from rag_pipeline.http_server.handler import Respond
from rag_pipeline.http_server.limits import Limits
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.http_server.router import respond
from rag_pipeline.http_server.server import HttpServer
from rag_pipeline.http_server.service_view import HealthReport, JournalPage
from rag_pipeline.journal.base import FileMatch, FileQuery, Generations, offset_of
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.control import Action
from rag_pipeline.status.model import FileBody, FileRecord, FileTotals
from rag_pipeline.status.state import PipelineState
from tests.contract.checking import ContractError, check_answer, check_event

DEADLINE_SECONDS = 60.0
STATE: Mapping[str, object] = PipelineState("local", None, "e", Moment(0.0, 0.0)).body(Moment(0.0, 0.0)).to_json(0.0)
JOURNAL = "0123abcd"


def packet(offset: str, name: str, text: str) -> Packet:
    """Return an event in bare form."""
    return Packet(text, b"", name, offset)


def item(position: int, name: str = events.FILE_COMPLETED, **result: object) -> Packet:
    """Return an event as a view gives it: a status, or the completion of a file with the ``result``."""
    offset = offset_of(JOURNAL, position)
    file = FileBody(FileRecord("a.pdf", None, completed_at=0.0, result=result), FileTotals(1)).to_json(0.0)
    envelope = {"pipeline_id": "local", "pipeline_type": None, "epoch": "e", "seq": position, "timestamp": iso(0.0)}
    body = STATE if name == events.STATUS else file
    return packet(offset, name, json.dumps({**body, **envelope, "offset": offset}, ensure_ascii=False))


class StubFollower(EventFollower):
    """Returns what the test publishes, until the test ends it."""

    def __init__(self, expires_at: float | None = None) -> None:
        super().__init__("the test's stream", 1 << 30, leave=lambda: None, dropped=lambda: None, expires_at=expires_at)
        self.closed = False
        self._error: Exception | None = None

    def publish(self, *packets: Packet) -> None:
        self.send(PacketBatch(packets, b""))

    def fail(self, error: Exception) -> None:
        self._error = error
        self._signal.signal()

    def end(self) -> None:
        super().close()

    def next(self, timeout_seconds: float) -> list[Packet]:
        packets = super().next(timeout_seconds)
        if self._error is not None and not packets:
            raise self._error
        return packets

    def close(self) -> None:
        self.closed = True
        super().close()


class StubView:
    """A view of one pipeline, ``local``. It records requests for its history, and its followers."""

    def __init__(
        self, state: Mapping[str, object] = STATE, *, ok: bool = True, health: Mapping[str, object] | None = None
    ) -> None:
        self.state = state
        self.ok = ok
        self.health_body = {"status": "ok" if ok else "down"} if health is None else health
        self.addresses = Addresses(http_port=8003, socket_port=8004)
        self.page = JournalPage((), offset_of(JOURNAL, 0), recovered=True, more=False)
        self.generations = Generations(JOURNAL)
        self.rows: Sequence[FileMatch] = ()
        self.complete = True
        self.greeting: Sequence[Packet] = ()
        self.error: Exception | None = None
        self.controllable = False
        self.refusal: str | None = None
        self.results: Sequence[Mapping[str, object]] = ()
        self.calls: list[tuple[object, ...]] = []
        self.followers: list[StubFollower] = []

    def states(self) -> Sequence[Mapping[str, object]]:
        return [self.state]

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        return self.state if pipeline_id == "local" else None

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        self._note("control", pipeline_id, action, file_id)

    def health(self) -> HealthReport:
        return HealthReport(self.ok, self.health_body)

    def metrics(self) -> bytes:
        return b"up 1\n"

    def events(self, since: str | None, namespace: str, limit: int) -> JournalPage:
        self._note("events", since, namespace, limit)
        return self.page

    def follow(self, namespace: str, since: str | None, *, until: float | None = None) -> StubFollower:
        self._note("follow", namespace, since)
        follower = StubFollower(until)
        follower.publish(*self.greeting)
        self.followers.append(follower)
        return follower

    def has_all_files(self) -> bool:
        return self.complete

    @property
    def search_refusal(self) -> str | None:
        return self.refusal

    @property
    def searchable_pipelines(self) -> frozenset[str] | None:
        return None

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        self._note("search", query)
        return self.results

    def files(self, query: FileQuery) -> Sequence[FileMatch]:
        self._note("files", query)
        return self.rows

    def _note(self, *asked: object) -> None:
        self.calls.append(asked)
        if self.error is not None:
            raise self.error


@contextmanager
def serving(
    respond: Respond | None = None, *, limits: Limits | None = None, view: StubView | None = None
) -> Iterator[HttpServer]:
    broken: list[ContractError] = []
    with HttpServer("127.0.0.1", 0, limits=limits) as server:
        policy = OriginPolicy(Settings(), server.port)
        server.start(respond or partial(_checked, view=view or StubView(), policy=policy, broken=broken))
        yield server
    assert broken == []


def _checked(request: HttpRequest, view: StubView, policy: OriginPolicy, broken: list[ContractError]) -> HttpResponse:
    """Return the response; collect violations of the published contract."""
    found = respond(request, view, policy)
    if request.method == "GET" and isinstance(found.body, bytes):
        try:
            check_answer(request.target, found.status, found.headers, found.body)
        except ContractError as error:
            broken.append(error)
    return found


def connect(server: HttpServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=DEADLINE_SECONDS)


def receive_all(client: socket.socket) -> bytes:
    """Return all bytes until the server closes; a reset counts as closing."""
    received = b""
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while chunk := client.recv(65536):
            received += chunk
            assert time.monotonic() < deadline, "the server does not close"
    except ConnectionError:
        pass
    return received


def exchange(server: HttpServer, data: bytes, *, end: bool = False) -> bytes:
    """Send raw bytes on a new connection; return all bytes until the server closes."""
    with connect(server) as client:
        try:
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
        except OSError:  # the server has responded and closed before all was sent
            pass
        return receive_all(client)


def get(server: HttpServer, path: str = "/status", method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += (f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
    return exchange(server, "\r\n".join([*lines, "", ""]).encode())


STREAM_REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class StreamClient:
    """Reads a stream of ``/events`` with ``http.client``, which decodes the chunks."""

    def __init__(self, server: HttpServer, path: str = "/events", **headers: str) -> None:
        self.deadline = time.monotonic() + DEADLINE_SECONDS
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=DEADLINE_SECONDS)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", path, headers={"Accept": "text/event-stream", **named})
        self.response = self.connection.getresponse()

    def block(self) -> bytes:
        """Return the bytes up to and including the next empty line."""
        found = b""
        while not found.endswith(b"\n\n"):
            line = self.response.readline()
            assert line, "the stream ended"
            assert time.monotonic() < self.deadline, "nothing but comments came"
            found += line
        return found

    def event(self) -> Packet:
        """Return the next event; comments are skipped."""
        while True:
            if found := parse_stream(self.block()):
                check_event(found[0].name, json.loads(found[0].text))
                return found[0]

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def __enter__(self) -> StreamClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def split(answers: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return the responses to ``GET`` requests one by one; fails on invalid HTTP."""
    found = []
    while answers:
        head, blank, rest = answers.partition(b"\r\n\r\n")
        assert blank, answers
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", "0"))
        assert len(rest) >= length
        found.append((int(status), headers, rest[:length]))
        answers = rest[length:]
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def parse_stream(received: bytes) -> list[Packet]:
    """Return the events that an ``EventSource`` would dispatch (HTML standard, section 9.2.6)."""
    found = []
    last_id = ""
    *blocks, rest = received.decode().split("\n\n")
    assert rest == "", "the last event is cut short"
    for block in blocks:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        last_id = fields.get("id", last_id)
        if "data" in fields:
            found.append(packet(last_id, fields.get("event", "message"), fields["data"]))
    return found
