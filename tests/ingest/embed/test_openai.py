"""The client of an embedding endpoint, tested with a real HTTP server that fails on demand."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from rag_pipeline.errors import EmbeddingError, TextRefusedError
from rag_pipeline.ingest.embed.openai import OpenAIEmbedder
from rag_pipeline.ingest.types import Stopped

KEY = "sk-secret-1234567890"
Fault = Callable[["Handler", dict[str, Any]], None]


def rows(texts: list[str], width: int = 3) -> list[dict[str, Any]]:
    made = [{"index": i, "embedding": [float(len(t) + 1), float(i % 2), 2.0][:width]} for i, t in enumerate(texts)]
    return made[::-1]  # the index gives the order, not the position in the list


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault is not None:
            fault(self, body)
        else:
            self.answer(200, {"data": rows(body["input"])})

    def answer(self, status: int, body: object, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None, dict[str, Any]]] = []
        self.faults: list[Fault | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(60)


@pytest.fixture
def embedder(server: Server) -> Iterator[OpenAIEmbedder]:
    made = client(server)
    yield made
    made.close()


def client(server: Server, **options: Any) -> OpenAIEmbedder:
    options = {"backoff_base_seconds": 0.001, "timeout_seconds": 5.0, "batch": 4, **options}
    return OpenAIEmbedder(server.url, "small", KEY, **options)


def status(code: int, body: object = "busy", **headers: str) -> Fault:
    return lambda handler, _: handler.answer(code, body, **headers)


def hang_up(handler: Handler, _: dict[str, Any]) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_vectors_have_unit_length_and_the_order_of_the_texts(server: Server, embedder: OpenAIEmbedder) -> None:
    texts = ["a" * n for n in range(1, 11)]
    seen: list[float] = []
    vectors = embedder.embed(texts, on_progress=seen.append)
    expected = np.array([[n + 1, i % 4 % 2, 2] for i, n in enumerate(range(1, 11))], np.float32)
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)
    assert vectors.dtype == np.float32
    assert [len(body["input"]) for _, _, body in server.seen] == [4, 4, 2]
    assert seen == [0.4, 0.8, 1.0]
    assert {(path, key) for path, key, _ in server.seen} == {("/v1/embeddings", f"Bearer {KEY}")}


@pytest.mark.slow
def test_dimensions_are_probed_once_or_requested(server: Server, embedder: OpenAIEmbedder) -> None:
    assert (embedder.dimensions, embedder.dimensions, embedder.model_id) == (3, 3, "small")
    assert len(server.seen) == 1
    assert embedder.embed([]).shape == (0, 3)
    asked = client(server, dimensions=3)
    assert (asked.dimensions, asked.model_id) == (3, "small@3")
    asked.embed(["a"])
    assert server.seen[-1][2]["dimensions"] == 3
    asked.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        status(429, Retry_After="0"),
        status(500),
        status(503),
        status(408),
        hang_up,
        status(200, b"<html>not json"),
    ],
    ids=["429", "500", "503", "408", "hang up", "no json"],
)
def test_a_temporary_failure_is_retried(server: Server, embedder: OpenAIEmbedder, fault: Fault) -> None:
    server.faults = [fault] * 5
    assert embedder.embed(["text"]).shape == (1, 3)
    assert len(server.seen) == 6


@pytest.mark.slow
def test_a_lasting_failure_ends_after_six_attempts_with_a_retryable_error(
    server: Server, embedder: OpenAIEmbedder
) -> None:
    server.faults = [status(503, "down for now")] * 6
    with pytest.raises(EmbeddingError, match=r"answered 503: .*down for now.*, 6 times") as caught:
        embedder.embed(["text"])
    assert caught.value.retryable
    assert len(server.seen) == 6


@pytest.mark.slow
def test_retry_after_is_respected(server: Server, embedder: OpenAIEmbedder) -> None:
    server.faults = [status(429, Retry_After="1")]
    start = time.monotonic()
    embedder.embed(["text"])
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("code", [301, 401, 403, 404])
def test_a_rejected_request_is_not_retried_and_the_error_never_shows_the_key(
    server: Server, embedder: OpenAIEmbedder, code: int
) -> None:
    server.faults = [status(code, {"error": f"bad key {KEY}\nfor you" + "x" * 5000}, Location="http://127.0.0.1:1/")]
    with pytest.raises(EmbeddingError, match=rf"{code}: ") as caught:
        embedder.embed(["text"])
    message = str(caught.value)
    assert KEY not in message
    assert "\n" not in message
    assert len(message) < 400
    assert not caught.value.retryable
    assert len(server.seen) == 1


def refusing(code: int, is_refused: Callable[[list[str]], bool]) -> Fault:
    """Answer with the code if the inputs are rejected, as a real endpoint does."""

    def fault(handler: Handler, body: dict[str, Any]) -> None:
        handler.server.faults.append(fault)
        if is_refused(body["input"]):
            handler.answer(code, {"error": f"bad key {KEY}"})
        else:
            handler.answer(200, {"data": rows(body["input"])})

    return fault


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_single_rejected_text_is_distinguished_from_an_endpoint_that_rejects_everything(
    server: Server, embedder: OpenAIEmbedder, code: int
) -> None:
    server.faults = [refusing(code, lambda texts: "poison" in texts)]
    with pytest.raises(TextRefusedError, match=rf"refused a text: answered {code}") as caught:
        embedder.embed(["a", "b", "poison", "c"])
    assert KEY not in str(caught.value)
    server.faults = [refusing(code, lambda _: True)]
    with pytest.raises(EmbeddingError, match=f"answered {code}") as other:
        embedder.embed(["a", "b"])
    assert not isinstance(other.value, TextRefusedError)


def test_a_batch_that_is_too_long_is_halved(server: Server, embedder: OpenAIEmbedder) -> None:
    server.faults = [refusing(413, lambda texts: sum(map(len, texts)) > 10)]
    texts = ["x" * n for n in (1, 2, 3, 4, 5, 6, 7)]
    vectors = embedder.embed(texts)
    assert np.allclose(vectors[:, 0] / vectors[:, 2] * 2, [len(text) + 1 for text in texts])


def test_a_stop_does_not_wait_for_an_endpoint_that_hangs(server: Server) -> None:
    stop, hanging, released = threading.Event(), threading.Event(), threading.Event()

    def hang(handler: Handler, _: dict[str, Any]) -> None:
        hanging.set()
        released.wait(60)
        handler.answer(200, {"data": []})

    server.faults = [hang]
    embedder = OpenAIEmbedder(server.url, "m", stop=stop)

    def stop_it() -> None:
        hanging.wait(60)
        stop.set()

    stopper = threading.Thread(target=stop_it)
    stopper.start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        _ = embedder.dimensions
    assert time.monotonic() - began < 30  # the request itself may take 60 s
    released.set()
    stopper.join(60)
    embedder.close()


BAD: list[object] = [
    {},
    [],
    {"data": None},
    {"data": []},
    {"data": rows(["a"])},
    {"data": rows(["a", "b", "c"])},
    {"data": [{"index": 0, "embedding": [1, 2, 3]}] * 2},
    {"data": [{"index": 0, "embedding": [1, 2, 3]}, {"index": 1, "embedding": [1]}]},
    {"data": [{"index": i, "embedding": [0.0, 0.0, 0.0]} for i in range(2)]},
    {"data": [{"index": i, "embedding": [1e39, 0.0, 0.0]} for i in range(2)]},
    {"data": [{"index": i, "embedding": "AAAA"} for i in range(2)]},
    {"data": [{"index": i, "embedding": []} for i in range(2)]},
]


@pytest.mark.slow
@pytest.mark.parametrize("body", BAD)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_an_answer_without_the_vectors_is_an_error(server: Server, embedder: OpenAIEmbedder, body: object) -> None:
    server.faults = [status(200, body)]
    with pytest.raises(EmbeddingError) as caught:
        embedder.embed(["a", "b"])
    assert server.url in str(caught.value)


def test_a_change_of_dimensions_is_an_error(server: Server, embedder: OpenAIEmbedder) -> None:
    embedder.embed(["a"])
    server.faults = [lambda handler, body: handler.answer(200, {"data": rows(body["input"], 2)})]
    with pytest.raises(EmbeddingError, match="2 dimensions, expected 3"):
        embedder.embed(["a"])


def test_a_refused_connection_is_a_retryable_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:{KEY}@127.0.0.1:{taken.getsockname()[1]}"
        embedder = OpenAIEmbedder(url, "m", KEY, attempts=2, backoff_base_seconds=0.001)
        with pytest.raises(EmbeddingError, match="refused") as caught:
            embedder.embed(["a"])
    assert caught.value.retryable
    assert KEY not in str(caught.value)
    embedder.close()


@pytest.mark.slow
def test_a_stalled_server_is_a_timeout(server: Server) -> None:
    release = threading.Event()

    def stall(handler: Handler, _: dict[str, Any]) -> None:
        release.wait(30)

    server.faults = [stall] * 2
    embedder = client(server, attempts=2, timeout_seconds=0.2)
    with pytest.raises(EmbeddingError, match=r"no answer within 0\.2 s"):
        embedder.embed(["a"])
    release.set()
    embedder.close()


@pytest.mark.slow
def test_a_stop_ends_the_wait_between_attempts(server: Server) -> None:
    stop = threading.Event()
    server.faults = [status(429, Retry_After="100")]
    embedder = client(server, stop=stop)
    threading.Timer(0.1, stop.set).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        embedder.embed(["a"])
    assert time.monotonic() - start < 60
    embedder.close()


def test_an_invalid_url_is_a_one_line_error() -> None:
    embedder = OpenAIEmbedder("nonsense", "m", KEY)
    with pytest.raises(EmbeddingError, match="not a usable URL"):
        embedder.embed(["a"])
    embedder.close()
