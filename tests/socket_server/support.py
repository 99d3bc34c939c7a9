"""A running service, and clients on raw sockets that can be slow, hostile or broken."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from rag_pipeline.common.config import Settings
from rag_pipeline.common.document_search import DocumentSearch
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.contract.checking import check_answer, check_event, check_packet, split
from tests.support.state_client import JsonDict, StateClient, without_volatile
from tests.support.waiting import wait_until

HOST = "127.0.0.1"
DEADLINE_SECONDS = 60.0
WEBSOCKET_PATH = "/socket.io/?EIO=4&transport=websocket"
POLLING_PATH = "/socket.io/?EIO=4&transport=polling"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

__all__ = ["JsonDict", "StateClient", "wait_until", "without_volatile"]

_ids = itertools.count()


def new_pipeline(kind: str | None = "local_files") -> PipelineStatus:
    """Return a pipeline with a unique id."""
    return PipelineStatus(kind, f"pipeline-{next(_ids)}")


@contextmanager
def serving(
    *pipelines: PipelineStatus, direct: bool = True, documents: DocumentSearch | None = None, **settings: Any
) -> Iterator[StatusServer]:
    """Run a service on free ports that shows only these pipelines."""
    settings = {"http_port": 0, "socket_port": 0, **settings}
    server = StatusServer(Settings(**settings), pipelines=pipelines, documents=documents, direct=direct)
    with server.start():
        yield server


def wait_until_live(server: StatusServer, count: int) -> None:
    """Wait until ``count`` clients have every state: from then on sent bytes count as their backlog."""
    live = server._sockets.hub._live
    wait_until(lambda: sum(map(len, list(live.values()))) == count)


def clients(server: StatusServer) -> JsonDict:
    """Return the client counts of the Socket.IO server."""
    status, headers, body = request(server.socket_port, "/health")
    assert status == 200
    check_answer("/health", status, headers, body)
    counted: JsonDict = json.loads(body)["clients"]
    return counted


def request(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """Send one request; return status, headers (names in lower case) and body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def exchange(port: int, data: bytes) -> bytes:
    """Send raw bytes on a new connection and return everything until the server closes it."""
    with socket.create_connection((HOST, port), timeout=DEADLINE_SECONDS) as connection:
        received = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                received += part
        except OSError:  # the server closed before all was sent
            pass
        return received


def handshake_request(path: str = WEBSOCKET_PATH, *headers: str) -> bytes:
    """Return the request that opens a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {HOST}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def masked_frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return one WebSocket frame of a client."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([flag | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def reset(connection: socket.socket) -> None:
    """End the connection by a reset, as a crashed client does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class ClientClosedError(Exception):
    """The server closed the connection; ``code`` is that of its close frame, if there was one."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class RawWebSocket:
    """A WebSocket on a raw socket; answers Engine.IO pings while ``answers_pings`` is set."""

    def __init__(self, port: int, *headers: str, path: str = WEBSOCKET_PATH, receive_buffer: int | None = None) -> None:
        self.answers_pings = True
        self.pings = 0
        self.read_size: Callable[[], int] = lambda: 1 << 16
        self._buffer = bytearray()
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE_SECONDS)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((HOST, port))
        self.socket.sendall(handshake_request(path, *headers))
        self.answer = self._read_head()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def vanish(self) -> None:
        """End the connection by a reset, as a crashed client does."""
        reset(self.socket)

    def send(self, text: str) -> None:
        self.socket.sendall(masked_frame(TEXT, text.encode()))

    def receive_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; raises ClientClosedError at the end."""
        head = self._read(2)
        assert head[0] & 0xF0 == 0x80, "whole frames, no reserved bits"
        assert not head[1] & 0x80, "a server's frames are not masked"
        size = head[1] & 0x7F
        if size == 126:
            size = int.from_bytes(self._read(2), "big")
        elif size == 127:
            size = int.from_bytes(self._read(8), "big")
        return head[0] & 0x0F, self._read(size)

    def receive(self) -> str:
        """Return the next text message that is not a ping."""
        while True:
            opcode, payload = self.receive_frame()
            if opcode == CLOSE:
                raise ClientClosedError(int.from_bytes(payload[:2], "big") if payload else None)
            assert opcode == TEXT
            text = payload.decode()
            if text != "2":
                check_packet(text)
                return text
            self.pings += 1
            if self.answers_pings:
                self.send("3")

    def wait_for_end(self) -> int | None:
        """Read until the server closes; return the code of its close frame."""
        try:
            while True:
                opcode, payload = self.receive_frame()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else None
                self.pings += payload == b"2"
        except ClientClosedError:
            return None

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                part = self.socket.recv(self.read_size())
            except ConnectionError:
                part = b""
            if not part:
                raise ClientClosedError
            self._buffer += part
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            part = self.socket.recv(1 << 16)
            if not part:
                raise ClientClosedError
            self._buffer += part
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        return head


def prefix(namespace: str) -> str:
    """Return the prefix of a packet in the namespace."""
    return "" if namespace == "/" else f"{namespace},"


def parse(packet: str) -> tuple[str, str, JsonDict]:
    """Return namespace, name and payload of an event's Engine.IO packet."""
    assert packet.startswith("42"), packet[:200]
    namespace, arguments = split(packet[2:])
    name, payload = json.loads(arguments)
    check_event(name, payload)
    return namespace, name, payload


class Session:
    """One Socket.IO client; the base of both transports."""

    def send(self, text: str) -> None:
        raise NotImplementedError

    def receive(self) -> str:
        raise NotImplementedError

    def connect(self, namespace: str = "/pipeline", auth: JsonDict | None = None) -> None:
        """Connect to a namespace; its next packet must be the answer."""
        name = prefix(namespace)
        self.send(f"40{name}" + ("" if auth is None else json.dumps(auth)))
        while not (packet := self.receive()).startswith(f"40{name}{{"):
            assert not packet.startswith(f"42{name}["), "CONNECT comes before any event"

    def receive_event(self) -> tuple[str, str, JsonDict]:
        return parse(self.receive())

    def follow(self, pipeline: PipelineStatus, client: StateClient | None = None) -> StateClient:
        """Follow the only pipeline until the client has seen its last event, then compare the states.

        An automatic status comes with the next status, not with the file event that caused it.
        """
        client = client or StateClient()
        while (
            client.state is None
            or client.state["seq"] < (now := pipeline.get())["seq"]
            or client.state["status"] != now["status"]
        ):
            _, name, payload = self.receive_event()
            client.follow(name, payload)
        assert without_volatile(client.state) == without_volatile(now)
        return client


class WebSocketSession(RawWebSocket, Session):
    """A Socket.IO client on a WebSocket from the start."""

    def __init__(
        self,
        port: int,
        *headers: str,
        namespace: str | None = "/pipeline",
        auth: JsonDict | None = None,
        **options: Any,
    ) -> None:
        super().__init__(port, *headers, **options)
        assert self.answer.startswith(b"HTTP/1.1 101 "), self.answer
        self.open: JsonDict = json.loads(self.receive()[1:])
        if namespace is not None:
            self.connect(namespace, auth)


class PollingSession(Session):
    """A Socket.IO client on HTTP polling."""

    def __init__(
        self, port: int, *, namespace: str | None = "/pipeline", auth: JsonDict | None = None, **headers: str
    ) -> None:
        self.port = port
        self._headers = headers
        self._http = http.client.HTTPConnection(HOST, port, timeout=DEADLINE_SECONDS)
        self.received: list[str] = []
        self._path = POLLING_PATH
        packets = self.poll()
        self.open: JsonDict = json.loads(packets[0][1:])
        self._path += f"&sid={self.open['sid']}"
        if namespace is not None:
            self.connect(namespace, auth)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def path(self) -> str:
        """The path of the session, with its id."""
        return self._path

    def poll(self) -> list[str]:
        """Return the packets of one poll; answers pings."""
        self._http.request("GET", self._path, headers=self._headers)
        answer = self._http.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise ClientClosedError(answer.status)
        packets = body.split("\x1e")
        for _ in range(packets.count("2")):
            self.send("3")
        return [packet for packet in packets if packet != "2"]

    def send(self, text: str) -> None:
        self.post(text)

    def post(self, body: str | bytes) -> None:
        status = self.try_post(body)
        if status != 200:
            raise ClientClosedError(status)

    def try_post(self, body: str | bytes) -> int:
        """POST the body; return the status of the answer."""
        data = body.encode() if isinstance(body, str) else body
        status, _, text = request(self.port, self._path, "POST", data, **self._headers)
        assert status in (400, 408, 411, 413) or text.lower() == "ok"
        return status

    def receive(self) -> str:
        while not self.received:
            self.received = self.poll()
        packet = self.received.pop(0)
        if packet == "1":
            raise ClientClosedError
        check_packet(packet)
        return packet


def hammer(pipeline: PipelineStatus, threads: int, rounds: int) -> list[threading.Thread]:
    """Mutate from several threads at once; return the running threads."""

    def work(worker: int) -> None:
        for number in range(rounds):
            name = f"file-{worker}-{number}"
            pipeline.add_processing_file(name, name)
            pipeline.file_progress(name, "chunking", 0.5, file_id=name)
            if number % 5:
                pipeline.complete_file(name, file_id=name, result={"chunks": number})
            else:
                pipeline.complete_file(name, False, file_id=name, error="it is corrupt")
            if not number % 7:
                pipeline.update(status="running", own={"own_field": f"{worker}:{number}"})

    started = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
    for thread in started:
        thread.start()
    return started


@contextmanager
def ticking(pipeline: PipelineStatus) -> Iterator[None]:
    """Update the pipeline all the time."""
    stop = threading.Event()

    def tick() -> None:
        for number in itertools.count():
            pipeline.update(own={"tick": number})
            if stop.wait(0.002):
                return

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        stop.set()
        ticker.join(DEADLINE_SECONDS)


def in_threads(count: int, function: Callable[[int], None]) -> None:
    """Call the function in ``count`` threads; raise the first error."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            function(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 120
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        assert not thread.is_alive(), "a client did not end"
    if failures:
        raise failures[0]
