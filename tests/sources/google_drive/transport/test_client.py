"""The HTTP client: typed failures and checked redirects."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.errors import CredentialsError, DownloadError, FileUnavailableError
from rag_pipeline.sources.google_drive.transport import client as client_module
from rag_pipeline.sources.google_drive.transport.client import MAX_REDIRECTS, ApiRequest, DriveHttpClient
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy, TryAgain
from tests.drive import DriveServer, cut_body, cut_headers, error, slow, stall, too_many, unauthorized
from tests.drive.faults import foreign
from tests.sources.google_drive.support import no_check, session_for
from tests.support.ports import taken_port

POLICY = RetryPolicy(connect_timeout_seconds=10, read_timeout_seconds=10)


def exchange_for(session: requests.Session, base_url: str, policy: RetryPolicy = POLICY) -> DriveHttpClient:
    return DriveHttpClient(session, base_url=base_url, policy=policy, stop=threading.Event())


def root(server: DriveServer) -> ApiRequest:
    return ApiRequest(f"{server.url}/drive/v3/files/root", "My Drive", {"fields": "id"}, is_file=True)


def get(server: DriveServer, policy: RetryPolicy = POLICY) -> object:
    return json.loads(exchange_for(session_for(server), server.url, policy).body(root(server), no_check))


def test_an_answer_is_returned() -> None:
    with DriveServer() as server:
        assert get(server) == {"id": server.drive.root_id}


def test_an_attempt_is_one_request() -> None:
    with DriveServer() as server:
        server.faults.add(too_many("3"), "files.get")
        with pytest.raises(TryAgain, match="answered 429") as raised:
            get(server)
        assert (raised.value.retry_after, raised.value.slow_down) == ("3", True)
        assert server.requests.count("files.get") == 1


def test_an_error_answer_becomes_an_exception() -> None:
    with DriveServer() as server:
        server.faults.add(error(403, "insufficientFilePermissions"), "files.get")
        server.faults.add(error(403, "insufficientPermissions"), "files.get")
        server.faults.add(unauthorized(), "files.get", times=2)
        with pytest.raises(FileUnavailableError):
            get(server)
        with pytest.raises(CredentialsError, match=r"drive\.readonly"):
            get(server)
        with pytest.raises(TryAgain, match="answered 401") as raised:
            get(server)
        assert isinstance(raised.value.final, CredentialsError)


@pytest.mark.parametrize("fault", [cut_body(3), stall(3)])
def test_a_broken_or_stalled_connection_is_retryable(fault: object) -> None:
    with DriveServer() as server:
        session = session_for(server)
        session.get(root(server).url, params={"fields": "id"}, timeout=30)
        server.faults.add(fault, "files.get")  # type: ignore[arg-type]
        with pytest.raises(TryAgain):
            exchange_for(session, server.url, RetryPolicy(read_timeout_seconds=0.3)).body(root(server), no_check)


def test_a_missing_token_is_retryable_after_its_retry_after() -> None:
    with DriveServer() as server:
        server.faults.add(too_many("9"), "token")
        with pytest.raises(TryAgain, match="no access token") as raised:
            get(server)
        assert raised.value.retry_after == "9"
        server.faults.add(cut_headers(), "token")
        with pytest.raises(TryAgain, match="no access token"):
            get(server)


def test_an_unreachable_server_is_retryable() -> None:
    with taken_port() as port:
        pass
    exchange = exchange_for(requests.Session(), f"http://127.0.0.1:{port}")
    with pytest.raises(TryAgain, match="Connection refused"):
        exchange.get(ApiRequest(f"http://127.0.0.1:{port}/", "a.txt"), no_check)


class Redirecting:
    """A server that redirects every request to ``location``; ``heads`` are the received requests."""

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.location = ""
        self.heads: list[str] = []
        self._listener = listener

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.heads.append(connection.recv(65536).decode())
                connection.sendall(
                    f"HTTP/1.1 302 Found\r\nLocation: {self.location}\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n".encode()
                )


@contextmanager
def redirecting() -> Iterator[Redirecting]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Redirecting(listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


def with_token() -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer hush"
    return session


@pytest.mark.parametrize(
    "location",
    [
        "https://accounts.google.com/ServiceLogin?continue=x",
        "https://example.com/x",
        "ftp://example.com/",
        "http://a.example/",
    ],
)
def test_a_redirect_to_a_login_page_or_another_host_is_not_followed(location: str) -> None:
    with redirecting() as server:
        server.location = location
        base = f"http://127.0.0.1:{server.port}"
        with pytest.raises(DownloadError, match=r"^a.txt: redirected to .*, which does not belong to Google Drive$"):
            exchange_for(with_token(), base).get(ApiRequest(base + "/x", "a.txt"), no_check)
        assert len(server.heads) == 1


def test_the_token_is_not_sent_to_another_host_after_a_redirect() -> None:
    with redirecting() as server, redirecting() as other:
        base = f"http://127.0.0.1:{server.port}"
        server.location = f"http://localhost:{other.port}/content"
        other.location = "https://accounts.google.com/"
        with pytest.raises(DownloadError):
            exchange_for(with_token(), base).get(
                ApiRequest(base + "/x", "a.txt"), no_check, headers={"Range": "bytes=5-"}
            )
        assert "authorization" in server.heads[0].lower()
        assert "authorization" not in other.heads[0].lower()
        assert "hush" not in other.heads[0]
        assert "Range: bytes=5-" in other.heads[0]


@pytest.mark.parametrize("location", ["http://[bad", "http://[::1", "//[/x"])
def test_a_redirect_to_an_invalid_url_is_retryable(location: str) -> None:
    with DriveServer() as server:
        server.faults.add(foreign(302, location), "files.get")
        with pytest.raises(TryAgain, match="redirected to an invalid URL"):
            get(server)
        assert get(server) == {"id": server.drive.root_id}


@pytest.mark.slow
def test_a_stop_ends_the_wait_for_a_stalled_answer() -> None:
    patient = replace(POLICY, read_timeout_seconds=600.0)
    for fault in (stall(3), slow(600)):
        with DriveServer() as server:
            server.faults.add(fault, "files.get")
            stop = threading.Event()
            exchange = DriveHttpClient(session_for(server), base_url=server.url, policy=patient, stop=stop)
            timer = threading.Timer(0.3, stop.set)
            timer.start()
            began = time.monotonic()
            with pytest.raises(Stopped):
                exchange.body(root(server), no_check)
            assert time.monotonic() - began < 60, "the answer is not waited for"
            timer.join()


def test_a_check_ends_the_wait_for_a_stalled_answer() -> None:
    def check() -> None:
        raise Stopped

    with DriveServer() as server:
        server.faults.add(stall(3), "files.get")
        with pytest.raises(Stopped):
            exchange_for(session_for(server), server.url).body(root(server), check)


def test_an_answer_must_be_complete_in_time() -> None:
    with DriveServer() as server:
        server.faults.add(stall(3), "files.get")
        with pytest.raises(TryAgain, match=r"^no whole answer within 0\.3 s$") as raised:
            get(server, replace(POLICY, answer_seconds=0.3))
        assert raised.value.server_failed


def test_the_size_of_an_answer_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with DriveServer() as server:
        for number in range(20):
            server.drive.add_file(f"{number}.txt", "x")
        question = ApiRequest(f"{server.url}/drive/v3/files", "the files", {"q": "'root' in parents"})
        exchange = exchange_for(session_for(server), server.url)
        assert len(exchange.body(question, no_check)) > 1000
        monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)
        with pytest.raises(TryAgain, match="answered with more than"):
            exchange.body(question, no_check)


def test_a_connection_serves_many_requests(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "urllib3.connectionpool")
    with DriveServer() as server:
        exchange = exchange_for(session_for(server), server.url)
        for _ in range(5):
            exchange.body(root(server), no_check)
    assert caplog.text.count("Starting new HTTP") == 2  # one for the token, one for Drive


def test_the_number_of_redirects_is_limited() -> None:
    with redirecting() as server:
        base = f"http://127.0.0.1:{server.port}"
        server.location = "/again"
        with pytest.raises(DownloadError, match=f"redirected more than {MAX_REDIRECTS} times"):
            exchange_for(with_token(), base).get(ApiRequest(base + "/x", "a.txt"), no_check)
        assert len(server.heads) == MAX_REDIRECTS + 1
