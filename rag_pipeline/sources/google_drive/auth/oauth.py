"""A person's sign-in: the OAuth loopback flow for installed apps (RFC 8252), with PKCE (RFC 7636).

The person grants access in a browser on this machine, which is then redirected to a short-lived local server.
google-auth-oauthlib is not used: the debug logs of its libraries hold the tokens, it takes any first request for the
redirect, and a connection that sends nothing blocks it.
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


class _AuthorizationResponse(NamedTuple):
    """The authorization code, or Google's error code."""

    code: str | None
    error: str | None


def sign_in(client: OAuthClient, show_url: Callable[[str], None], *, timeout_seconds: float = TIMEOUT_SECONDS) -> Grant:
    """Sign a person in through the browser, and return the grant.

    ``show_url`` is called once, with the URL to open. Raises
    :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError` if the person refuses, answers too late or
    grants less, and DriveUnavailableError if Google can't be reached.
    """
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    with _RedirectServer(state) as server:
        show_url(_consent_url(client, server.redirect_uri, state, verifier))
        response = server.wait(timeout_seconds)
    if response.code is None:
        if response.error == "access_denied":
            raise CredentialsError(
                f"access to Google Drive was refused in the browser: run {SIGN_IN} to be asked again"
            )
        raise CredentialsError(f"Google did not sign in: {response.error or 'no reason given'}")
    return _exchange_code(client, response.code, verifier, server.redirect_uri)


class _RedirectServer:
    """Server on a free port of 127.0.0.1 that waits for one redirect with the right state."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._responses: queue.SimpleQueue[_AuthorizationResponse] = queue.SimpleQueue()
        redirect_server = self

        class RedirectHandler(BaseHTTPRequestHandler):
            timeout = _CONNECTION_SECONDS  # browsers open connections that they may never use

            def do_GET(self) -> None:
                status, title, text = redirect_server.receive(self.path, self.headers.get("Host", ""))
                body = _PAGE.format(title=title, text=text).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                # The URL holds the code: it must be neither cached nor sent as a referrer.
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Log nothing: the URL holds the code."""

        class QuietServer(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False  # else closing waits for the timeout of an unused connection

            def handle_error(self, request: object, client_address: object) -> None:
                """Log nothing if the browser hangs up."""

        self._server = QuietServer(("127.0.0.1", 0), RedirectHandler)
        self._host = f"127.0.0.1:{self._server.server_port}"
        self.redirect_uri = f"http://{self._host}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sign-in", daemon=True
        )

    def receive(self, target: str, host: str) -> tuple[int, str, str]:
        """Accept a request if it is the redirect; return status, title and text of the page."""
        url = urlsplit(target)
        parameters = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path != "/" or host != self._host:
            return 404, "Not found", "There is nothing here."
        # Any web page can send a browser here, but only Google's redirect has the state.
        if not hmac.compare_digest(parameters.get("state", "").encode(), self._state.encode()):
            return 400, "Wrong sign-in", "This request does not belong to the current sign-in."
        self._responses.put(_AuthorizationResponse(parameters.get("code"), parameters.get("error")))
        if "code" not in parameters:
            return 200, "Not signed in", "Google gave no access. This page can be closed."
        return 200, "Thank you", "The terminal says whether the sign-in worked. This page can be closed."

    def wait(self, timeout_seconds: float) -> _AuthorizationResponse:
        """Return the response; raises CredentialsError if none arrives in time."""
        try:
            return self._responses.get(timeout=timeout_seconds)
        except queue.Empty:
            raise CredentialsError(
                f"nobody signed in within {timeout_seconds:g} seconds: run {SIGN_IN} to be asked again"
            ) from None

    def __enter__(self) -> _RedirectServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _consent_url(client: OAuthClient, redirect_uri: str, state: str, verifier: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",  # without it, a second sign-in yields no refresh token
    }
    return f"{client.auth_uri}?{urlencode(parameters)}"


def _exchange_code(client: OAuthClient, code: str, verifier: str, redirect_uri: str) -> Grant:
    """Exchange the authorization code for a refresh token."""
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
        raise CredentialsError(f"access to Google Drive was not granted: run {SIGN_IN}, and tick its box")
    token = data.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise CredentialsError(
            "Google issued no refresh token: remove the app's access at "
            f"https://myaccount.google.com/connections, and run {SIGN_IN}"
        )
    return Grant(client.client_id, token)
