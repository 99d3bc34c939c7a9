"""Tokens that someone else has signed: JSON Web Tokens (RFC 7519), read as RFC 8725 advises."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from rag_pipeline.access.claims import access_of
from rag_pipeline.access.decision import EXPIRED, INVALID, Access, Code, Refusal
from rag_pipeline.access.keys import Keys, VerifyingKey

LEEWAY_SECONDS = 10
"""How far the clock of who signs may be ahead: of ``iat`` and ``nbf``. ``exp`` is taken at its word."""

_REASONS: tuple[tuple[type[Exception], Refusal], ...] = (
    (jwt.ExpiredSignatureError, EXPIRED),
    (jwt.ImmatureSignatureError, Refusal(Code.TOKEN_INVALID, "the token is not valid yet")),
    (jwt.InvalidAudienceError, Refusal(Code.TOKEN_INVALID, "the token is for another audience")),
    (jwt.InvalidIssuerError, Refusal(Code.TOKEN_INVALID, "the token is of another issuer")),
    (jwt.InvalidAlgorithmError, Refusal(Code.TOKEN_INVALID, "the token is signed in a way that is not allowed")),
)


class SignedTokens:
    """Verifies tokens; any thread may ask, and none waits."""

    def __init__(self, keys: Keys, *, audience: str | None = None, issuer: str | None = None) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer

    def pending(self, token: str) -> Callable[[], bool] | None:
        """Return what tells whether the token's key is still being fetched, None if it is not.

        The token is read here, once.
        """
        try:
            header = jwt.get_unverified_header(token)
        except Exception:  # noqa: BLE001 - as below
            return None

        def is_pending() -> bool:
            found = self._keys.find(header)
            return isinstance(found, Refusal) and found.pending

        return is_pending if is_pending() else None

    def check(self, token: str) -> Access | Refusal:
        """Return what the token allows now, or why it is refused."""
        try:
            found = self._keys.find(jwt.get_unverified_header(token))
            if isinstance(found, Refusal):
                return found
            claims = self._verify(token, found)
        except jwt.MissingRequiredClaimError as error:
            return Refusal(Code.TOKEN_INVALID, f"the token has no {error.claim} claim")
        except Exception as error:  # noqa: BLE001 - whatever a stranger sends is refused, and no fault of ours
            return next((reason for kind, reason in _REASONS if isinstance(error, kind)), INVALID)
        return access_of(claims, time.time())

    def _verify(self, token: str, found: VerifyingKey) -> Mapping[str, Any]:
        # Claims that nothing here depends on are nobody's reason to be refused.
        return jwt.decode(
            token,
            found.key,
            algorithms=list(found.algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp"], "verify_sub": False, "verify_jti": False},
        )
