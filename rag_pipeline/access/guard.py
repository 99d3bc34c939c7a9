"""The guard: the one place that decides about a token."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rag_pipeline.access.decision import EVERYTHING, INVALID, MISSING, Access, Refusal
from rag_pipeline.access.refusal_log import RefusalLog
from rag_pipeline.access.tokens import SharedTokens
from rag_pipeline.common.config import AuthSettings
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from rag_pipeline.access.signed import SignedTokens

MAX_TOKEN_CHARACTERS = 8192


class _Service(Protocol):
    """What works in the background for the guard."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Guard:
    """Decides about tokens; any thread may ask, and none waits. Without any token set everything is open."""

    def __init__(
        self, tokens: SharedTokens | None = None, signed: SignedTokens | None = None, keys: _Service | None = None
    ) -> None:
        self._tokens = tokens or SharedTokens(())
        self._signed = signed
        self._keys = keys
        self.refusals = RefusalLog()

    @property
    def required(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._tokens) or self._signed is not None

    def start(self) -> None:
        """Begin to fetch keys, where they have to be."""
        if self._keys is not None:
            self._keys.start()

    def stop(self) -> None:
        """End it; idempotent."""
        if self._keys is not None:
            self._keys.stop()

    def check(self, token: object) -> Access | Refusal:
        """Return what the token (whatever a client sent as one, None for nothing) allows, or why it is refused."""
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
        """Return None if the token can be decided about now, else what tells whether its key is still being fetched."""
        if self._signed is None or not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS:
            return None
        return None if token in self._tokens else self._signed.pending(token)


OPEN = Guard()


def guard_of(settings: AuthSettings) -> Guard:
    """Return the guard that the settings describe; raises ConfigurationError."""
    tokens = SharedTokens(settings.tokens)
    if settings.jwt_secret is None and settings.jwks_url is None:
        return Guard(tokens)
    variable = "STATUS_JWKS_URL" if settings.jwt_secret is None else "STATUS_JWT_SECRET"
    if any(importlib.util.find_spec(name) is None for name in ("jwt", "cryptography")):
        raise ConfigurationError(f'{variable} needs PyJWT: pip install "rag-pipeline[jwt]"')
    return _guard_with_keys(tokens, settings)


def _guard_with_keys(tokens: SharedTokens, settings: AuthSettings) -> Guard:
    # Here, since PyJWT is optional.
    from rag_pipeline.access.jwks import Jwks
    from rag_pipeline.access.keys import SharedSecret
    from rag_pipeline.access.signed import SignedTokens

    named = {"audience": settings.jwt_audience, "issuer": settings.jwt_issuer}
    if settings.jwks_url is not None:
        keys = Jwks(settings.jwks_url)
        return Guard(tokens, SignedTokens(keys, **named), keys)
    secret = (settings.jwt_secret or "").encode(errors="surrogateescape")  # as the environment has it
    try:
        return Guard(tokens, SignedTokens(SharedSecret(secret), **named))
    except ValueError as error:
        raise ConfigurationError(f"STATUS_JWT_SECRET: expected a secret that signs by HS256, but {error}") from None
