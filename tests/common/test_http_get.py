"""Fetching: from real servers, with and without TLS, kind and unkind ones."""

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
    """Run a server that handles one connection by hand."""
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
                pass  # the client has ended, as it should

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


def test_the_body_of_a_200_is_returned_and_the_query_asked_with() -> None:
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
def test_every_way_to_say_how_long_a_body_is_is_understood(answer: bytes) -> None:
    with answering(lambda client: client.sendall(answer)) as port:
        assert get(port) == b"hello"


def test_an_answer_ends_with_its_length_though_the_server_keeps_the_connection() -> None:
    done = threading.Event()

    def answer(client: socket.socket) -> None:
        client.sendall(OK)
        done.wait(30)

    with answering(answer) as port:
        assert get(port) == b"hello"
        done.set()


@pytest.mark.parametrize("status", [301, 404, 500])
def test_another_status_is_named_and_no_other_address_followed_to(status: int) -> None:
    with publishing(b"") as server:
        server.status = status
        with pytest.raises(ValueError, match=f"^it answered {status}$"):
            get(server.port)
        assert server.requests == 1


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"]
)
def test_what_is_no_answer_or_half_a_one_is_told(answer: bytes) -> None:
    with answering(lambda client: client.sendall(answer)) as port, pytest.raises((ValueError, OSError)):
        get(port)


def test_an_answer_that_is_too_long_is_not_read_on() -> None:
    def flood(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"x" * 10_000)

    with answering(flood) as port, pytest.raises(ValueError, match="too long"):
        get(port)


def test_a_server_that_trickles_has_no_more_time_than_one_that_is_silent() -> None:
    ended = threading.Event()

    def trickle(client: socket.socket) -> None:
        while not ended.wait(0.02):
            client.sendall(b"x")

    with answering(trickle) as port:
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.3 seconds$"):
            get(port, timeout_seconds=0.3)
        ended.set()


def test_a_port_where_no_one_listens_is_refused() -> None:
    with taken_port() as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        get(port)


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
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


def test_a_server_with_a_known_certificate_is_read_over_tls(certificate: Path, server_side: ssl.SSLContext) -> None:
    body = b"x" * 50_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with answering(lambda client: client.sendall(answer), server_side) as port:
        known = ssl.create_default_context(cafile=str(certificate))
        assert get(port, "https", tls=known, limit_bytes=60_000) == body


def test_a_certificate_of_a_stranger_is_not_trusted(server_side: ssl.SSLContext) -> None:
    stranger = answering(lambda client: client.sendall(OK), server_side)
    with stranger as port, pytest.raises(ssl.SSLCertVerificationError):
        get(port, "https")


def test_a_certificate_for_another_name_is_not_trusted(certificate: Path, server_side: ssl.SSLContext) -> None:
    other = answering(lambda client: client.sendall(OK), server_side)
    with other as port, pytest.raises(ssl.SSLCertVerificationError):
        get(port, "https", host="localhost", tls=ssl.create_default_context(cafile=str(certificate)))


def test_a_server_without_tls_is_told_from_one_with_it() -> None:
    with answering(lambda client: client.sendall(OK)) as port, pytest.raises(ssl.SSLError):
        get(port, "https")


@pytest.mark.slow
def test_a_host_program_that_was_patched_fetches_all_the_same(certificate: Path, server_side: ssl.SSLContext) -> None:
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
