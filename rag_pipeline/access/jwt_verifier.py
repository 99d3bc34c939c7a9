"""Verifies JSON Web Tokens (RFC 7519) as RFC 8725 advises."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from rag_pipeline.access.claims import access_from_claims
from rag_pipeline.access.decision import EXPIRED, INVALID, Access, AccessRefusal, RefusalCode
from rag_pipeline.access.keys import KeyProvider, VerifyingKey

LEEWAY_SECONDS = 10
"""Seconds that the issuer's clock may be ahead, for ``iat`` and ``nbf``. ``exp`` has no leeway."""

_REASONS: tuple[tuple[type[Exception], AccessRefusal], ...] = (
    (jwt.ExpiredSignatureError, EXPIRED),
    (jwt.ImmatureSignatureError, AccessRefusal(RefusalCode.TOKEN_INVALID, "the token is not valid yet")),
    (jwt.InvalidAudienceError, AccessRefusal(RefusalCode.TOKEN_INVALID, "the token is for another audience")),
    (jwt.InvalidIssuerError, AccessRefusal(RefusalCode.TOKEN_INVALID, "the token is from another issuer")),
    (
        jwt.InvalidAlgorithmError,
        AccessRefusal(RefusalCode.TOKEN_INVALID, "the token's algorithm is not allowed"),
    ),
)


class JwtVerifier:
    """Verifies tokens; thread-safe, never waits."""

    def __init__(self, keys: KeyProvider, *, audience: str | None = None, issuer: str | None = None) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer

    def pending(self, token: str) -> Callable[[], bool] | None:
        """Return None if the token can be checked now, else a function: is the token's key still being fetched?

        The token is parsed here, once.
        """
        try:
            header = jwt.get_unverified_header(token)
        except Exception:  # noqa: BLE001 - as below
            return None

        def is_pending() -> bool:
            found = self._keys.find(header)
            return isinstance(found, AccessRefusal) and found.pending

        return is_pending if is_pending() else None

    def check(self, token: str) -> Access | AccessRefusal:
        """Return what the token allows now, or why it is refused."""
        try:
            found = self._keys.find(jwt.get_unverified_header(token))
            if isinstance(found, AccessRefusal):
                return found
            claims = self._verify(token, found)
        except jwt.MissingRequiredClaimError as error:
            return AccessRefusal(RefusalCode.TOKEN_INVALID, f"the token has no {error.claim} claim")
        except Exception as error:  # noqa: BLE001 - any invalid token is refused; it is no error of the service
            return next((reason for kind, reason in _REASONS if isinstance(error, kind)), INVALID)
        return access_from_claims(claims, time.time())

    def _verify(self, token: str, found: VerifyingKey) -> Mapping[str, Any]:
        # Claims that the service does not use are not checked.
        return jwt.decode(
            token,
            found.key,
            algorithms=list(found.algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp"], "verify_sub": False, "verify_jti": False},
        )
