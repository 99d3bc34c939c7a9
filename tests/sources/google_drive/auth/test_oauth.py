"""Sign-in through a browser, and everything that can arrive instead of the redirect."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from rag_pipeline.sources.google_drive.auth.credential_files import CLIENT, OAuthClient, read_client
from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.auth.oauth import sign_in
from rag_pipeline.sources.google_drive.auth.token_file import TOKEN_NAME, save_grant
from rag_pipeline.sources.google_drive.errors import CredentialsError, DriveUnavailableError
from tests.drive import DriveServer, error
from tests.sources.google_drive.support import write_json
from tests.support.ports import taken_port
from tests.support.processes import native_threads
from tests.support.waiting import wait_until


def client_of(server: DriveServer, tmp_path: Path) -> OAuthClient:
    return read_client({CLIENT: str(write_json(tmp_path / "client.json", server.client_secrets()))})


class Browser:
    """Opens the URL like a person's browser, on a thread; ``pages`` are the last answers."""

    def __init__(self, before: Callable[[str], None] = lambda _: None) -> None:
        self.pages: list[requests.Response] = []
        self.address = ""
        self._before = before
        self._thread: threading.Thread | None = None

    def __call__(self, address: str) -> None:
        self.address = address
        self._thread = threading.Thread(target=self._browse)
        self._thread.start()

    def _browse(self) -> None:
        self._before(parse_qs(urlsplit(self.address).query)["redirect_uri"][0])
        self.pages.append(requests.get(self.address, timeout=30))

    def close(self) -> None:
        assert self._thread is not None
        self._thread.join(30)


def test_after_a_sign_in_drive_can_be_read(tmp_path: Path) -> None:
    with DriveServer() as server:
        browser = Browser()
        client = client_of(server, tmp_path)
        save_grant(tmp_path / TOKEN_NAME, sign_in(client, browser))
        browser.close()
        assert browser.pages[0].status_code == 200
        assert "This page can be closed" in browser.pages[0].text
        session = read_credentials({CLIENT: str(tmp_path / "client.json")}, tmp_path).open_session(server.url)
        answer = session.get(f"{server.url}/drive/v3/files/root", params={"fields": "id"}, timeout=30)
        assert answer.status_code == 200


def test_the_page_with_the_code_in_its_url_is_not_cached_and_runs_no_script(tmp_path: Path) -> None:
    with DriveServer() as server:
        browser = Browser()
        sign_in(client_of(server, tmp_path), browser)
        browser.close()
        headers = browser.pages[0].headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_each_sign_in_has_its_own_port_state_and_challenge(tmp_path: Path) -> None:
    urls = []
    with DriveServer() as server:
        for _ in range(2):
            browser = Browser()
            sign_in(client_of(server, tmp_path), browser)
            browser.close()
            urls.append(parse_qs(urlsplit(browser.address).query))
    for key in ("state", "code_challenge", "redirect_uri"):
        assert urls[0][key] != urls[1][key]
    assert urls[0]["redirect_uri"][0].startswith("http://127.0.0.1:")


def test_a_refusal_error_says_how_to_be_asked_again(tmp_path: Path) -> None:
    with DriveServer() as server:
        server.grants.consent = "denied"
        browser = Browser()
        with pytest.raises(
            CredentialsError, match=r"^access to Google Drive was refused in the browser: run rag-pipeline"
        ):
            sign_in(client_of(server, tmp_path), browser)
        browser.close()
        assert "Not signed in" in browser.pages[0].text


@pytest.mark.slow
def test_a_redirect_with_another_state_is_rejected(tmp_path: Path) -> None:
    with DriveServer() as server:
        server.grants.consent = "wrong state"
        browser = Browser()
        with pytest.raises(CredentialsError, match=r"^nobody signed in within 0\.5 seconds"):
            sign_in(client_of(server, tmp_path), browser, timeout_seconds=0.5)
        browser.close()
        assert browser.pages[0].status_code == 400
        assert server.requests.count("token") == 0


def test_other_requests_and_idle_connections_do_not_disturb_the_sign_in(tmp_path: Path) -> None:
    idle: list[socket.socket] = []
    statuses: list[int] = []

    def disturb(redirect_uri: str) -> None:
        port = urlsplit(redirect_uri).port
        idle.append(socket.create_connection(("127.0.0.1", port)))
        statuses.append(requests.get(redirect_uri + "favicon.ico", timeout=30).status_code)
        statuses.append(requests.get(redirect_uri + "?code=stolen&state=guessed", timeout=30).status_code)
        statuses.append(requests.post(redirect_uri, timeout=30).status_code)
        # A web page elsewhere may have a host name that resolves to this machine.
        statuses.append(requests.get(redirect_uri, headers={"Host": "rebound.example"}, timeout=30).status_code)

    with DriveServer() as server:
        browser = Browser(disturb)
        grant = sign_in(client_of(server, tmp_path), browser)
        browser.close()
    assert grant.refresh_token
    assert statuses == [404, 400, 501, 404]
    idle[0].close()


def test_port_and_threads_are_released(tmp_path: Path) -> None:
    with DriveServer() as server:
        before = native_threads()
        browser = Browser()
        sign_in(client_of(server, tmp_path), browser)
        browser.close()
        port = urlsplit(parse_qs(urlsplit(browser.address).query)["redirect_uri"][0]).port
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", port))
        wait_until(
            lambda: native_threads() <= before + 1, "the end of the threads"
        )  # a keep-alive connection of the server


def test_a_rejected_code_is_an_error_that_does_not_quote_it(tmp_path: Path) -> None:
    with DriveServer() as server:
        client = client_of(server, tmp_path)
        browser = Browser(lambda _: None)
        server.faults.add(error(400, "invalid_grant"), "token")
        with pytest.raises(
            CredentialsError, match=r"^Google refuses the sign-in \(.*\): check GOOGLE_DRIVE_OAUTH_CLIENT="
        ):
            sign_in(client, browser)
        browser.close()


def test_a_failing_token_server_is_not_a_credentials_error(tmp_path: Path) -> None:
    with DriveServer() as server, taken_port() as port:
        client = client_of(server, tmp_path)
        server.faults.add(error(503, "backendError"), "token")
        browser = Browser()
        with pytest.raises(DriveUnavailableError, match=r"^Google answered 503 to the sign-in$"):
            sign_in(client, browser)
        browser.close()
        secrets = server.client_secrets()
        secrets["installed"]["token_uri"] = f"http://127.0.0.1:{port}/token"  # type: ignore[index]
        client = read_client({CLIENT: str(write_json(tmp_path / "client.json", secrets))})
    with DriveServer() as server:
        client = OAuthClient(
            client.client_id, client.client_secret, f"{server.url}/consent", client.token_uri, client.source
        )
        browser = Browser()
        with pytest.raises(DriveUnavailableError, match="can't be reached to sign in: the connection failed"):
            sign_in(client, browser)
        browser.close()
