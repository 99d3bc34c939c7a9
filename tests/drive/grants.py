"""Access tokens, and the two ways to get one: a service account's assertion, and a person's consent."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Json = dict[str, Any]
SCOPE = "https://www.googleapis.com/auth/drive.readonly"
"""The least that a pipeline can do with, and so all that is given."""
ACCOUNT = "pipeline@tests.iam.gserviceaccount.com"
KEY_ID = "0123456789abcdef0123456789abcdef01234567"
CLIENT_ID = "1234567890-tests.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-tests"  # of an installed app, which is no secret to whoever has the app
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"
"""What google-auth names as the audience, wherever the token endpoint is."""
LONGEST_ASSERTION_SECONDS = 3600
CLOCK_SKEW_SECONDS = 300


class GrantError(Exception):
    """An OAuth error; ``violation``: no client should ever send such a request."""

    def __init__(self, error: str, description: str, *, status: int = 400, violation: bool = False) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.violation = violation
        self.body = {"error": error, "error_description": description}


class Consent(NamedTuple):
    """The data of an authorization code until it is exchanged."""

    challenge: str
    redirect_uri: str


class Grants:
    """Issues access tokens, and knows which are valid."""

    def __init__(self, url: str) -> None:
        self.lifetime_seconds = 3600.0
        self.consent = "granted"
        self.refused: list[str] = []
        self._url = url
        self._lock = threading.Lock()
        self._access: dict[str, float] = {}
        self._refresh: set[str] = set()
        self._codes: dict[str, Consent] = {}
        self._account_revoked = False

    @property
    def token_uri(self) -> str:
        """The URL of the token endpoint."""
        return f"{self._url}/token"

    # What tests hand to a client

    def service_account(self) -> Json:
        """Return the JSON key file of the service account."""
        return {
            "type": "service_account",
            "project_id": "tests",
            "private_key_id": KEY_ID,
            "private_key": _private_pem(),
            "client_email": ACCOUNT,
            "client_id": "100000000000000000001",
            "auth_uri": f"{self._url}/consent",
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def client_secrets(self) -> Json:
        """Return the JSON of an OAuth client for installed apps."""
        return {
            "installed": {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "project_id": "tests",
                "auth_uri": f"{self._url}/consent",
                "token_uri": self.token_uri,
                "redirect_uris": ["http://localhost"],
            }
        }

    def authorized_user(self) -> Json:
        """Return the JSON of a person's saved grant."""
        return {
            "type": "authorized_user",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": self._new_refresh_token(),
            "token_uri": self.token_uri,
            "scopes": [SCOPE],
        }

    def access_token(self) -> str:
        """Return a valid access token."""
        token = "ya29." + secrets.token_urlsafe(24)
        with self._lock:
            self._access[token] = time.monotonic() + self.lifetime_seconds
        return token

    def expire_access_tokens(self) -> None:
        """Expire all access tokens."""
        with self._lock:
            self._access.clear()

    def revoke(self) -> None:
        """Revoke every grant, of people and of the service account."""
        self.expire_access_tokens()
        with self._lock:
            self._refresh.clear()
            self._account_revoked = True

    def restore(self) -> None:
        """Let the service account get tokens again."""
        self._account_revoked = False

    # What clients ask

    def is_good(self, authorization: str) -> bool:
        """Whether an ``Authorization`` header has a valid access token."""
        kind, _, token = authorization.partition(" ")
        with self._lock:
            return kind == "Bearer" and self._access.get(token, 0.0) > time.monotonic()

    def token(self, form: Mapping[str, str]) -> Json:
        """Return the response to a token request, or raise GrantError."""
        kind = form.get("grant_type")
        if kind == JWT_BEARER:
            self._check_assertion(form.get("assertion", ""))
            return self._answer()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise GrantError("invalid_client", "The OAuth client was not found.", status=401)
        if kind == "refresh_token":
            if form.get("refresh_token") not in self._refresh:
                raise GrantError("invalid_grant", "Token has been expired or revoked.")
            return self._answer()
        if kind == "authorization_code":
            self._check_code(form)
            return {**self._answer(), "refresh_token": self._new_refresh_token()}
        raise GrantError("unsupported_grant_type", f"Invalid grant_type: {kind}", violation=True)

    def redirect(self, query: Mapping[str, str]) -> str:
        """Return the redirect of the consent page, or raise GrantError, whose reason the person sees."""
        _check_consent(query)
        answer = {"state": "another" if self.consent == "wrong state" else query["state"]}
        if self.consent == "denied":
            answer["error"] = "access_denied"
        else:
            code = "4/" + secrets.token_urlsafe(16)
            with self._lock:
                self._codes[code] = Consent(query["code_challenge"], query["redirect_uri"])
            answer |= {"code": code, "scope": SCOPE}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def _answer(self) -> Json:
        token = self.access_token()
        return {"access_token": token, "expires_in": int(self.lifetime_seconds), "scope": SCOPE, "token_type": "Bearer"}

    def _new_refresh_token(self) -> str:
        token = "1//" + secrets.token_urlsafe(24)
        with self._lock:
            self._refresh.add(token)
        return token

    def _check_assertion(self, assertion: str) -> None:
        if self._account_revoked:
            raise GrantError("invalid_grant", "Invalid grant: account not found")
        claims = self._claims(assertion)
        if claims["iss"] != ACCOUNT:
            raise GrantError("invalid_grant", "Invalid grant: account not found")
        if claims["exp"] - claims["iat"] > LONGEST_ASSERTION_SECONDS:
            raise GrantError("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
        if claims.get("scope") != SCOPE:
            raise GrantError("invalid_scope", f"asked for {claims.get('scope')!r}", violation=True)
        if "sub" in claims:
            raise GrantError("unauthorized_client", "the account may not act for others", status=401, violation=True)

    def _claims(self, assertion: str) -> Json:
        try:
            if jwt.get_unverified_header(assertion).get("kid") != KEY_ID:
                raise GrantError("invalid_grant", "Invalid JWT Signature.")
            claims: Json = jwt.decode(
                assertion,
                _private_key().public_key(),
                algorithms=["RS256"],
                audience=[self.token_uri, GOOGLE_TOKEN_URI],
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["iss", "exp", "iat", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise GrantError("invalid_grant", f"Invalid JWT: {error}") from None
        return claims

    def _check_code(self, form: Mapping[str, str]) -> None:
        with self._lock:
            consent = self._codes.pop(form.get("code", ""), None)  # good for one exchange
        if consent is None:
            raise GrantError("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != consent.redirect_uri:
            raise GrantError("redirect_uri_mismatch", "Bad Request", violation=True)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != consent.challenge:
            raise GrantError("invalid_grant", "Invalid code verifier.", violation=True)


def _check_consent(query: Mapping[str, str]) -> None:
    if query.get("client_id") != CLIENT_ID:
        raise GrantError("invalid_client", "The OAuth client was not found.", status=401)
    expected = {
        "response_type": "code",
        "scope": SCOPE,
        "code_challenge_method": "S256",
        "access_type": "offline",
    }
    for name, value in expected.items():
        if query.get(name) != value:
            raise GrantError("invalid_request", f"{name} is {query.get(name)!r}, expected {value!r}", violation=True)
    if not query.get("state") or len(query.get("code_challenge", "")) != 43:
        raise GrantError("invalid_request", "no state, or no code_challenge of SHA-256", violation=True)
    redirect = urlsplit(query.get("redirect_uri", ""))
    if redirect.scheme != "http" or redirect.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise GrantError(
            "redirect_uri_mismatch", f"{query.get('redirect_uri')!r} is no loopback address", violation=True
        )


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def _private_pem() -> str:
    return (
        _private_key()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )
