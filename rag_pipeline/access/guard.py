"""The guard decides about tokens, for both servers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rag_pipeline.access.decision import EVERYTHING, INVALID, MISSING, Access, AccessRefusal
from rag_pipeline.access.refusal_log import RefusalLog
from rag_pipeline.access.shared_tokens import SharedTokens
from rag_pipeline.common.config import AuthSettings
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from rag_pipeline.access.jwt_verifier import JwtVerifier

MAX_TOKEN_CHARACTERS = 8192


class _KeyRefresher(Protocol):
    """Fetches keys in the background."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Guard:
    """Decides about tokens; thread-safe, never waits. Without a configured token everything is allowed."""

    def __init__(
        self, tokens: SharedTokens | None = None, signed: JwtVerifier | None = None, keys: _KeyRefresher | None = None
    ) -> None:
        self._tokens = tokens or SharedTokens(())
        self._signed = signed
        self._keys = keys
        self.refusals = RefusalLog()

    @property
    def required(self) -> bool:
        """Whether a token is required."""
        return bool(self._tokens) or self._signed is not None

    def start(self) -> None:
        """Start to fetch keys, if any are published."""
        if self._keys is not None:
            self._keys.start()

    def stop(self) -> None:
        """Stop fetching keys; idempotent."""
        if self._keys is not None:
            self._keys.stop()

    def check(self, token: object) -> Access | AccessRefusal:
        """Return what the token allows, or why it is refused; ``token`` is whatever the client sent, or None."""
        if not self.required:
            return EVERYTHING
        if token is None or token == "":
            return MISSING
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS:
            return INVALID
        if token in self._tokens:
            return EVERYTHING
        return INVALID if self._signed is None else self._signed.check(token)

    def pending(self, token: object) -> Callable[[], bool] | None:
        """Return None if the token can be checked now, else a function: is the token's key still being fetched?"""
        if self._signed is None or not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS:
            return None
        return None if token in self._tokens else self._signed.pending(token)


OPEN = Guard()


def guard_from_settings(settings: AuthSettings) -> Guard:
    """Return the guard for the settings; raises ConfigurationError."""
    tokens = SharedTokens(settings.tokens)
    if settings.jwt_secret is None and settings.jwks_url is None:
        return Guard(tokens)
    variable = "STATUS_JWKS_URL" if settings.jwt_secret is None else "STATUS_JWT_SECRET"
    if any(importlib.util.find_spec(name) is None for name in ("jwt", "cryptography")):
        raise ConfigurationError(f'{variable} needs PyJWT: pip install "rag-pipeline-status[jwt]"')
    return _guard_with_keys(tokens, settings)


def _guard_with_keys(tokens: SharedTokens, settings: AuthSettings) -> Guard:
    # Imported here, because PyJWT is optional.
    from rag_pipeline.access.jwks import JwksClient
    from rag_pipeline.access.jwt_verifier import JwtVerifier
    from rag_pipeline.access.keys import SharedSecret

    named = {"audience": settings.jwt_audience, "issuer": settings.jwt_issuer}
    if settings.jwks_url is not None:
        keys = JwksClient(settings.jwks_url)
        return Guard(tokens, JwtVerifier(keys, **named), keys)
    secret = (settings.jwt_secret or "").encode(errors="surrogateescape")  # the bytes of the environment
    try:
        return Guard(tokens, JwtVerifier(SharedSecret(secret), **named))
    except ValueError as error:
        raise ConfigurationError(f"STATUS_JWT_SECRET: expected a secret that signs by HS256, but {error}") from None
