"""Shared tokens: secrets that their holders send, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


class SharedTokens:
    """A set of equivalent tokens; several, so that they can be rotated."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = tuple(_digest(token) for token in tokens)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __contains__(self, token: str) -> bool:
        # Digests have one length, and all are compared: the time shows neither a token's length nor which one matches.
        wanted, accepted = _digest(token), False
        for digest in self._digests:
            accepted |= hmac.compare_digest(digest, wanted)
        return accepted


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
