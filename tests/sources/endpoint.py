"""An OpenAI-compatible embeddings endpoint on loopback, with vectors from hashed words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIMENSIONS = 32


class Endpoint:
    """The running endpoint; each request takes ``delay_seconds``, and ``down`` makes it answer 503.

    While ``hold`` is not None a request with a text that contains it is answered only once it no longer does.
    """

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self.down = False
        self.hold: str | None = None
        self.texts: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(owner.delay_seconds)
                while owner.hold is not None and any(owner.hold in text for text in body["input"]):
                    time.sleep(0.02)
                data = [{"index": i, "embedding": vector(text)} for i, text in enumerate(body["input"])]
                owner.texts += body["input"]
                answer = json.dumps({"data": data, "model": "words"}).encode()
                self.send_response(503 if owner.down else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # the client was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.env = {
            "EMBEDDING_API_URL": f"http://127.0.0.1:{self.server.server_port}/v1",
            "EMBEDDING_API_MODEL": "words",
            "EMBEDDING_API_DIMENSIONS": str(DIMENSIONS),
        }


def vector(text: str) -> list[float]:
    """Return a vector; texts that share words have near vectors."""
    values = [0.01] * DIMENSIONS
    for word in text.lower().split():
        values[blake2b(word.encode(), digest_size=1).digest()[0] % DIMENSIONS] += 1.0
    return values


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Run an endpoint on a free port."""
    made = Endpoint()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join(60)
