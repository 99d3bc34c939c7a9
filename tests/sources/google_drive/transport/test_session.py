"""The session: when it requests a token, and which hosts receive it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.errors import CredentialsError, DriveError
from rag_pipeline.sources.google_drive.transport import session as session_module
from rag_pipeline.sources.google_drive.transport.session import DriveSession, TokenUnavailableError, describe_failure
from tests.drive import DriveServer, cut_headers, error, too_many, unauthorized
from tests.sources.google_drive.support import session_for
from tests.support.ports import taken_port


def ask(session: requests.Session, server: DriveServer) -> int:
    return session.get(f"{server.url}/drive/v3/files/root", params={"fields": "id"}, timeout=30).status_code


def test_one_token_serves_many_requests() -> None:
    with DriveServer() as server:
        session = session_for(server)
        assert [ask(session, server) for _ in range(5)] == [200] * 5
        assert server.requests.count("token") == 1


def test_an_expired_token_is_refreshed_once_and_the_request_repeated() -> None:
    with DriveServer() as server:
        session = session_for(server)
        ask(session, server)
        server.grants.expire_access_tokens()
        assert ask(session, server) == 200
        assert server.requests.count("token") == 2
        assert [request.status for request in server.requests if request.operation == "files.get"] == [200, 401, 200]


def test_a_second_401_is_returned() -> None:
    with DriveServer() as server:
        server.faults.add(unauthorized(), "files.get", times=None)
        assert ask(session_for(server), server) == 401
        assert server.requests.count("files.get") == 2
        assert server.requests.count("token") == 2


def test_concurrent_threads_share_one_token_request() -> None:
    with DriveServer() as server:
        session = session_for(server)
        for _ in range(2):  # one at the start, one after all tokens expired
            together(lambda: ask(session, server), 8)
            server.grants.expire_access_tokens()
        assert server.requests.count("token") == 2


def together(work: Callable[[], int], count: int) -> None:
    answers: list[int] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait(30)
        answers.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * count


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "http://www.googleapis.com/drive/v3/files",
        "https://accounts.google.com/",
        "https://www.googleapis.com@example.com/",
    ],
)
def test_the_token_is_sent_to_no_other_host(url: str) -> None:
    with DriveServer() as server:
        session = session_for(server)
        with pytest.raises(DriveError, match=r"^request blocked: the URL is outside Google Drive"):
            session.get(url, timeout=30)
        assert server.requests.count() == 0


def test_another_port_of_this_machine_is_another_host() -> None:
    with DriveServer() as server, DriveServer() as other:
        session = session_for(server)
        with pytest.raises(DriveError):
            ask(session, other)
        assert other.requests.count() == 0


def test_a_redirect_is_returned_and_not_followed() -> None:
    with DriveServer() as server:
        server.behaviour.redirect_exports = True
        doc = server.drive.add_doc("a", "text")
        session = session_for(server)
        params = {"id": doc, "exportFormat": "md"}
        answer = session.get(f"{server.url}/docs/export", params=params, timeout=30, allow_redirects=True)
        assert answer.is_redirect
        assert server.requests.count("export_content") == 0


def test_an_entry_in_netrc_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with DriveServer() as server:
        assert ask(session_for(server), server) == 200


def test_a_temporarily_missing_token_can_be_requested_again() -> None:
    with DriveServer() as server:
        server.faults.add(too_many("7"), "token")
        server.faults.add(error(503, "backendError"), "token")
        server.faults.add(cut_headers(), "token")
        session = session_for(server)
        with pytest.raises(TokenUnavailableError, match="Google answered 429") as raised:
            ask(session, server)
        assert raised.value.retry_after == "7"
        with pytest.raises(TokenUnavailableError, match="Google answered 503"):
            ask(session, server)
        with pytest.raises(TokenUnavailableError, match=r"^no access token: "):
            ask(session, server)
        assert ask(session, server) == 200
        assert server.requests.count("token") == 4  # google-auth repeated none of them


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "temporarily_unavailable"),
        (400, "internal_failure"),
        (400, "server_error"),
        (403, "rate_limit_exceeded"),
        (429, "rate_limit_exceeded"),
        (400, "something_new"),
    ],
)
def test_a_failing_token_endpoint_is_not_a_credentials_error(status: int, word: str) -> None:
    with (
        DriveServer() as server,
        answering(status, {"error": word}) as address,
        pytest.raises(TokenUnavailableError, match=f"Google answered {status}"),
    ):
        ask(session_at(server, address), server)


@pytest.mark.parametrize("word", ["invalid_grant", "invalid_client", "unauthorized_client", "deleted_client"])
def test_an_oauth_error_code_is_final(word: str) -> None:
    with (
        DriveServer() as server,
        answering(400, {"error": word}) as address,
        pytest.raises(CredentialsError, match=word),
    ):
        ask(session_at(server, address), server)


def test_an_endless_answer_of_the_token_endpoint_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_MAX_TOKEN_BYTES", 100)
    with (
        DriveServer() as server,
        answering(200, {"access_token": "x" * 1000}) as address,
        pytest.raises(TokenUnavailableError, match="does not end"),
    ):
        ask(session_at(server, address), server)


def test_a_token_endpoint_that_redirects_to_an_invalid_url_is_a_temporary_failure() -> None:
    with DriveServer() as server, answering(302, {}, "http://[bad") as address:
        session = session_at(server, address)
        with pytest.raises(TokenUnavailableError, match="Google answered 302"):
            ask(session, server)


@contextmanager
def answering(status: int, body: Mapping[str, str], location: str | None = None) -> Iterator[str]:
    """Run a server that gives this answer to every request; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_port}"
        finally:
            listener.shutdown()
            thread.join()


def session_at(server: DriveServer, address: str) -> DriveSession:
    """Return a session with the token endpoint at another URL."""
    key = {**server.service_account(), "token_uri": f"{address}/token"}
    access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(key)}, Path("/nonexistent"))
    return access.open_session(server.url)


def test_an_unreachable_token_server_is_a_connection_error() -> None:
    with DriveServer() as server, taken_port() as port:
        key = {**server.service_account(), "token_uri": f"http://127.0.0.1:{port}/token"}
    access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(key)}, Path("/nonexistent"))
    with pytest.raises(TokenUnavailableError, match="Connection refused"):
        ask(access.open_session(server.url), server)


def test_a_web_page_instead_of_a_token_is_an_error() -> None:
    with DriveServer() as server, DriveServer() as other:
        # The answer is JSON without a token; a web page is not even JSON.
        key = {**server.service_account(), "token_uri": f"{other.url}/consent"}
        access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(key)}, Path("/nonexistent"))
        with pytest.raises((TokenUnavailableError, CredentialsError)):
            ask(access.open_session(server.url), server)
        other.violations.clear()


def test_a_failure_is_described_without_the_url() -> None:
    with taken_port() as port:
        pass
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get(f"http://127.0.0.1:{port}/secret?token=hush", timeout=30)
    assert describe_failure(raised.value) == "the connection failed (Connection refused)"
    assert describe_failure(requests.ReadTimeout("hush")) == "no answer in time"


def test_the_session_is_that_of_google_auth_and_requests() -> None:
    with DriveServer() as server:
        assert isinstance(session_for(server), requests.Session)
        assert DriveSession.__mro__[1].__module__ == "google.auth.transport.requests"


def test_a_session_can_be_closed_twice() -> None:
    with DriveServer() as server:
        session = session_for(server)
        ask(session, server)
        session.close()
        session.close()
