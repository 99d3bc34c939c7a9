"""A person's sign-in: the loopback flow for installed apps (RFC 8252), with PKCE (RFC 7636).

A browser on this machine asks the person, and comes back to a server that lives for that one answer.
google-auth-oauthlib does this too, with two libraries below it whose debug log holds the tokens; it takes the first
request that arrives for the answer, and a connection that sends nothing stops it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from rag_pipeline.sources.google_drive.auth.credential_files import OAuthClient
from rag_pipeline.sources.google_drive.auth.credentials import SCOPE
from rag_pipeline.sources.google_drive.auth.token_file import SIGN_IN, Grant
from rag_pipeline.sources.google_drive.errors import CredentialsError, DriveUnavailableError
from rag_pipeline.sources.google_drive.transport.session import NoAuth, describe_failure

TIMEOUT_SECONDS = 300.0
_CONNECTION_SECONDS = 10.0
_TOKEN_TIMEOUT = (10.0, 30.0)
_LATER_SECONDS = 60.0

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<body style="font-family: sans-serif; margin: 4em"><h1>{title}</h1><p>{text}</p></body></html>
"""


class _Answer(NamedTuple):
    """What came back: a code, or Google's word for why there is none."""

    code: str | None
    error: str | None


def sign_in(
    client: OAuthClient, show_address: Callable[[str], None], *, timeout_seconds: float = TIMEOUT_SECONDS
) -> Grant:
    """Return what the person grants in the browser that ``show_address`` opens.

    ``show_address`` is called once, with the address to open. Raises
    :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError` if the person refuses, answers too late or
    grants less, and DriveUnavailableError if Google can't be reached.
    """
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    with _Loopback(state) as loopback:
        show_address(_consent_address(client, loopback.redirect_uri, state, verifier))
        answer = loopback.wait(timeout_seconds)
    if answer.code is None:
        if answer.error == "access_denied":
            raise CredentialsError(
                f"access to Google Drive was refused in the browser: run {SIGN_IN} to be asked again"
            )
        raise CredentialsError(f"Google did not sign in: {answer.error or 'no reason given'}")
    return _exchange(client, answer.code, verifier, loopback.redirect_uri)


class _Loopback:
    """A server on a free port of 127.0.0.1 that waits for one answer with the right state."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _CONNECTION_SECONDS  # browsers open connections that they may never use

            def do_GET(self) -> None:
                status, title, text = loopback.take(self.path, self.headers.get("Host", ""))
                body = _PAGE.format(title=title, text=text).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                # The address holds the code: it is not to be kept, nor handed on.
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Write nothing: the address holds the code."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False  # or a connection that is never used would have to time out

            def handle_error(self, request: object, client_address: object) -> None:
                """Write nothing: a browser that hangs up is no event."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._host = f"127.0.0.1:{self._server.server_port}"
        self.redirect_uri = f"http://{self._host}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sign-in", daemon=True
        )

    def take(self, target: str, host: str) -> tuple[int, str, str]:
        """Take a request's address for the answer if it is it; return status, title and text of the page."""
        address = urlsplit(target)
        values = {key: found[0] for key, found in parse_qs(address.query).items()}
        if address.path != "/" or host != self._host:
            return 404, "Not found", "There is nothing here."
        # Any page can send a browser here: only the answer to our question has the state.
        if not hmac.compare_digest(values.get("state", "").encode(), self._state.encode()):
            return 400, "Not the answer", "This is not the answer to the sign-in that is under way."
        self._answers.put(_Answer(values.get("code"), values.get("error")))
        if "code" not in values:
            return 200, "Not signed in", "Google gave no access. This page can be closed."
        return 200, "Thank you", "The terminal says whether the sign-in worked. This page can be closed."

    def wait(self, timeout_seconds: float) -> _Answer:
        """Return the answer; raises CredentialsError if none comes in time."""
        try:
            return self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            raise CredentialsError(
                f"nobody signed in within {timeout_seconds:g} seconds: run {SIGN_IN} to be asked again"
            ) from None

    def __enter__(self) -> _Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _consent_address(client: OAuthClient, redirect_uri: str, state: str, verifier: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    question = {
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",  # without it, a second sign-in brings no refresh token
    }
    return f"{client.auth_uri}?{urlencode(question)}"


def _exchange(client: OAuthClient, code: str, verifier: str, redirect_uri: str) -> Grant:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": redirect_uri,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
    }
    try:
        answer = requests.post(
            client.token_uri, data=form, timeout=_TOKEN_TIMEOUT, allow_redirects=False, auth=NoAuth()
        )
        data = answer.json()
    except requests.JSONDecodeError:
        data = None
    except requests.RequestException as error:
        raise DriveUnavailableError(
            f"Google can't be reached to sign in: {describe_failure(error)}", _LATER_SECONDS
        ) from None
    if not isinstance(data, dict) or answer.status_code >= 500:
        raise DriveUnavailableError(f"Google answered {answer.status_code} to the sign-in", _LATER_SECONDS)
    if answer.status_code != 200:
        raise CredentialsError(
            f"Google refuses the sign-in ({data.get('error')}): check {client.source}, and try again"
        )
    if SCOPE not in str(data.get("scope", SCOPE)).split():
        raise CredentialsError(f"Google Drive was not among what was granted: run {SIGN_IN}, and tick its box")
    token = data.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise CredentialsError(
            "Google gave no refresh token: take the access away from the app at "
            f"https://myaccount.google.com/connections, and run {SIGN_IN}"
        )
    return Grant(client.client_id, token)
