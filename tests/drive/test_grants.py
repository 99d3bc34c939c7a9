"""Sign-in over HTTP: a service account with google-auth, and a person through the consent page."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials as PersonCredentials
from google.oauth2.service_account import Credentials

from tests.drive.grants import JWT_BEARER, SCOPE
from tests.drive.server import DriveServer

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
REDIRECT = "http://127.0.0.1:1/"
made_by_account: Callable[..., Any] = Credentials.from_service_account_info  # untyped there
untyped_person: Callable[..., Any] = PersonCredentials


def made_by_person(info: Mapping[str, Any]) -> Any:
    """Return a person's credentials; from_authorized_user_info would ignore ``token_uri`` and use Google's."""
    names = ("refresh_token", "token_uri", "client_id", "client_secret", "scopes")
    return untyped_person(None, **{name: info[name] for name in names})


def session_of(credentials: Any) -> Any:
    """Return a session of google-auth, which is a requests session."""
    untyped: Callable[..., Any] = AuthorizedSession
    session = untyped(credentials)
    session.trust_env = False
    return session


def files(server: DriveServer, session: Any) -> Any:
    return session.get(f"{server.url}/drive/v3/files", timeout=30)


def test_a_service_account_signs_in_with_its_key(server: DriveServer) -> None:
    with session_of(made_by_account(server.service_account(), scopes=[SCOPE])) as session:
        assert files(server, session).status_code == 200
        assert files(server, session).status_code == 200
    assert server.requests.operations() == {"token": 1, "files.list": 2}


def test_a_person_who_has_consented_signs_in_with_the_refresh_token(server: DriveServer) -> None:
    with session_of(made_by_person(server.authorized_user())) as session:
        assert files(server, session).status_code == 200


def test_an_expired_access_token_is_rejected_and_replaced(server: DriveServer) -> None:
    with session_of(made_by_account(server.service_account(), scopes=[SCOPE])) as session:
        files(server, session)
        server.grants.expire_access_tokens()
        assert files(server, session).status_code == 200
    assert server.requests.operations() == {"token": 2, "files.list": 3}


def test_an_access_token_has_the_stated_lifetime(server: DriveServer) -> None:
    server.grants.lifetime_seconds = 0.0
    answer = requests.get(
        f"{server.url}/drive/v3/files", headers={"Authorization": f"Bearer {server.access_token()}"}, timeout=30
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"


@pytest.mark.parametrize("person", [False, True])
def test_a_revoked_grant_yields_no_token(server: DriveServer, person: bool) -> None:
    given = (
        made_by_person(server.authorized_user())
        if person
        else made_by_account(server.service_account(), scopes=[SCOPE])
    )
    server.grants.revoke()
    with session_of(given) as session, pytest.raises(RefreshError, match="invalid_grant"):
        files(server, session)
    assert len(server.grants.refused) == 1


def test_a_scope_beyond_reading_fails_the_test(server: DriveServer) -> None:
    credentials = made_by_account(server.service_account(), scopes=["https://www.googleapis.com/auth/drive"])
    with pytest.raises(RefreshError):
        credentials.refresh(Request())
    assert "invalid_scope" in server.violations[0]
    server.violations.clear()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"iss": "another@example.org"}, "account not found"),
        ({"aud": "https://oauth2.example.org/token"}, "Audience"),
        ({"exp": 1}, "expired"),
        ({"exp": time.time() + 7200}, "short-lived"),
    ],
)
def test_an_invalid_assertion_yields_no_token(server: DriveServer, wrong: dict[str, Any], said: str) -> None:
    account = server.service_account()
    now = time.time()
    claims = {
        "iss": account["client_email"],
        "aud": account["token_uri"],
        "scope": SCOPE,
        "iat": now,
        "exp": now + 600,
        **wrong,
    }
    assertion = jwt.encode(
        claims, str(account["private_key"]), algorithm="RS256", headers={"kid": str(account["private_key_id"])}
    )
    answer = ask_token(server, grant_type=JWT_BEARER, assertion=assertion)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert said in server.grants.refused[0]


def test_an_assertion_with_another_signature_yields_no_token(server: DriveServer) -> None:
    forged = jwt.encode(
        {"iss": "x"}, "a secret that is long enough for HS256", headers={"kid": "0123456789abcdef" * 2 + "01234567"}
    )
    assert ask_token(server, grant_type=JWT_BEARER, assertion=forged).json()["error"] == "invalid_grant"


def test_a_person_consents_in_the_browser_and_the_code_is_exchanged_once(server: DriveServer) -> None:
    sent = consent(server)
    assert sent["state"] == ["s"]
    form = {"code": sent["code"][0], "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **client(server)}
    answer = ask_token(server, grant_type="authorization_code", **form).json()
    assert {"access_token", "refresh_token", "expires_in", "scope", "token_type"} == set(answer)
    again = ask_token(server, grant_type="refresh_token", refresh_token=answer["refresh_token"], **client(server))
    assert again.status_code == 200
    assert ask_token(server, grant_type="authorization_code", **form).json()["error"] == "invalid_grant"


def test_a_person_can_deny_and_a_state_can_differ(server: DriveServer) -> None:
    server.grants.consent = "denied"
    assert consent(server)["error"] == ["access_denied"]
    server.grants.consent = "wrong state"
    assert consent(server)["state"] != ["s"]


def test_a_code_is_useless_without_its_verifier(server: DriveServer) -> None:
    form = {"code": consent(server)["code"][0], "redirect_uri": REDIRECT, **client(server)}
    assert ask_token(server, grant_type="authorization_code", **form).json()["error"] == "invalid_grant"
    assert "code verifier" in server.violations.pop()


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"access_type": "online"},
        {"redirect_uri": "http://example.org/"},
        {"redirect_uri": "urn:ietf:wg:oauth:2.0:oob"},
    ],
)
def test_an_excessive_consent_request_fails_the_test(server: DriveServer, wrong: dict[str, str]) -> None:
    assert ask_consent(server, **wrong).status_code == 400
    assert server.violations.pop()


def ask_consent(server: DriveServer, **wrong: str) -> requests.Response:
    asked = {
        "client_id": client(server)["client_id"],
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "access_type": "offline",
        **wrong,
    }
    return requests.get(f"{server.url}/consent", params=asked, allow_redirects=False, timeout=30)


def consent(server: DriveServer) -> dict[str, list[str]]:
    location = ask_consent(server).headers["Location"]
    assert location.startswith(REDIRECT)
    return parse_qs(urlsplit(location).query)


def client(server: DriveServer) -> dict[str, str]:
    installed: Any = server.client_secrets()["installed"]
    return {name: installed[name] for name in ("client_id", "client_secret")}


def ask_token(server: DriveServer, **form: str) -> requests.Response:
    return requests.post(f"{server.url}/token", data=form, timeout=30)
