"""Fetching from real servers, with and without TLS, well-behaved or not."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rag_pipeline.common.http_get import fetch
from tests.access.signing import publishing
from tests.support.ports import taken_port
from tests.support.programs import run

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def answering(answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server that handles one connection with ``answer``."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(30)

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                connection.settimeout(30)
                with connection if tls is None else tls.wrap_socket(connection, server_side=True) as client:
                    client.recv(65536)
                    answer(client)
            except OSError:
                pass  # the client has closed the connection, as expected

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(30)
            assert not thread.is_alive()


def get(port: int, scheme: str = "http", host: str = "127.0.0.1", **options: object) -> bytes:
    limits = {"timeout_seconds": 10.0, "limit_bytes": 10_000, **options}
    return fetch(f"{scheme}://{host}:{port}/keys?a=b", **limits)  # type: ignore[arg-type]


def test_fetch_sends_the_query_and_returns_the_body_of_a_200() -> None:
    with publishing(b"hello") as server:
        assert fetch(server.url, timeout_seconds=10, limit_bytes=1_000) == b"hello"
        assert get(server.port, host="localhost") == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 more than was asked for",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
)
def test_every_encoding_of_the_body_length_is_read(answer: bytes) -> None:
    with answering(lambda client: client.sendall(answer)) as port:
        assert get(port) == b"hello"


def test_an_answer_ends_with_its_length_on_an_open_connection() -> None:
    done = threading.Event()

    def answer(client: socket.socket) -> None:
        client.sendall(OK)
        done.wait(30)

    with answering(answer) as port:
        assert get(port) == b"hello"
        done.set()


@pytest.mark.parametrize("status", [301, 404, 500])
def test_the_error_names_another_status_and_redirects_are_not_followed(status: int) -> None:
    with publishing(b"") as server:
        server.status = status
        with pytest.raises(ValueError, match=f"^it answered {status}$"):
            get(server.port)
        assert server.requests == 1


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"]
)
def test_a_missing_or_incomplete_answer_is_an_error(answer: bytes) -> None:
    with answering(lambda client: client.sendall(answer)) as port, pytest.raises((ValueError, OSError)):
        get(port)


def test_an_answer_over_the_limit_is_an_error() -> None:
    def flood(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"x" * 10_000)

    with answering(flood) as port, pytest.raises(ValueError, match="too long"):
        get(port)


def test_a_slow_answer_times_out_like_a_silent_server() -> None:
    ended = threading.Event()

    def trickle(client: socket.socket) -> None:
        while not ended.wait(0.02):
            client.sendall(b"x")

    with answering(trickle) as port:
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.3 seconds$"):
            get(port, timeout_seconds=0.3)
        ended.set()


def test_a_closed_port_is_an_error() -> None:
    with taken_port() as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        get(port)


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "here.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    return path


@pytest.fixture
def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_fetch_reads_over_tls_with_a_trusted_certificate(certificate: Path, server_side: ssl.SSLContext) -> None:
    body = b"x" * 50_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with answering(lambda client: client.sendall(answer), server_side) as port:
        known = ssl.create_default_context(cafile=str(certificate))
        assert get(port, "https", tls=known, limit_bytes=60_000) == body


def test_an_untrusted_certificate_is_an_error(server_side: ssl.SSLContext) -> None:
    stranger = answering(lambda client: client.sendall(OK), server_side)
    with stranger as port, pytest.raises(ssl.SSLCertVerificationError):
        get(port, "https")


def test_a_certificate_for_another_name_is_an_error(certificate: Path, server_side: ssl.SSLContext) -> None:
    other = answering(lambda client: client.sendall(OK), server_side)
    with other as port, pytest.raises(ssl.SSLCertVerificationError):
        get(port, "https", host="localhost", tls=ssl.create_default_context(cafile=str(certificate)))


def test_https_to_a_server_without_tls_is_an_error() -> None:
    with answering(lambda client: client.sendall(OK)) as port, pytest.raises(ssl.SSLError):
        get(port, "https")


@pytest.mark.slow
def test_fetch_works_in_a_monkey_patched_host(certificate: Path, server_side: ssl.SSLContext) -> None:
    program = """
import eventlet; eventlet.monkey_patch()
import sys, time
from rag_pipeline.common import native
from rag_pipeline.common.http_get import fetch
told = native.Future()
native.start_thread(lambda: told.set(fetch(sys.argv[1], timeout_seconds=10, limit_bytes=1000)), "fetcher")
assert told.wait(20)
print(told.value.decode())
"""
    with answering(lambda client: client.sendall(OK), server_side) as port:
        done = run("-W", "ignore", "-c", program, f"https://127.0.0.1:{port}/", env={"SSL_CERT_FILE": str(certificate)})
    assert (done.stdout, done.stderr) == ("hello\n", "")
