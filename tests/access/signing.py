"""Makes tokens and keys as an issuer does, and serves the public keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SECRET = "a secret that is long enough for HS256"
ALGORITHMS: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}
MADE_BY: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@cache
def private_key(algorithm: str, name: str = "first") -> Any:
    """Return a private key; always the same one for the same name."""
    return MADE_BY[algorithm]()


def public_jwk(algorithm: str, name: str = "first", **more: object) -> dict[str, Any]:
    """Return the public key as a JWK, with the name as its key id."""
    public = private_key(algorithm, name).public_key()
    return {**json.loads(ALGORITHMS[algorithm].to_jwk(public)), "kid": name, **more}


def key_set(*keys: dict[str, Any]) -> bytes:
    """Return a JSON Web Key Set."""
    return json.dumps({"keys": keys}).encode()


def claims(seconds: float = 60, **more: object) -> dict[str, Any]:
    """Return claims that expire after the given time."""
    return {"exp": time.time() + seconds, **more}


def shared(secret: str = SECRET, algorithm: str = "HS256", seconds: float = 60, **more: object) -> str:
    """Return a token signed with a secret."""
    return jwt.encode(claims(seconds, **more), secret, algorithm=algorithm)


def signed(algorithm: str = "ES256", name: str = "first", seconds: float = 60, **more: object) -> str:
    """Return a token signed with a private key, with its key id."""
    return jwt.encode(claims(seconds, **more), private_key(algorithm, name), algorithm=algorithm, headers={"kid": name})


class KeyServer:
    """Serves ``document`` with ``status`` once ``open`` is set; ``requests`` counts the requests."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.requests = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the key set."""
        return f"http://127.0.0.1:{self.port}/keys?tenant=hush"


@contextmanager
def publishing(document: bytes) -> Iterator[KeyServer]:
    """Run a server that serves the document."""
    published = KeyServer(document)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            published.requests += 1
            published.open.wait(30)
            self.send_response(published.status)
            self.send_header("Content-Length", str(len(published.document)))
            self.end_headers()
            self.wfile.write(published.document)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that left early

    with Server(("127.0.0.1", 0), Handler) as server:
        published.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield published
        finally:
            published.open.set()
            server.shutdown()
            thread.join(60)
