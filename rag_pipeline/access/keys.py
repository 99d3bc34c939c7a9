"""The keys that verify tokens, each bound to its algorithms.

The key decides about the algorithm, never the token's header: so a public key can't be used as a shared secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jwt import PyJWK, get_algorithm_by_name
from jwt.exceptions import InvalidKeyError

from rag_pipeline.access.decision import INVALID, AccessRefusal

HS256 = "HS256"
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_TYPE = {"RSA": _RSA, "EC": ("ES256", "ES384", "ES512"), "OKP": ("EdDSA",)}
MIN_RSA_BITS = 2048
MAX_KEYS = 100


class VerifyingKey(NamedTuple):
    """A key and its allowed signature algorithms."""

    key: Any
    algorithms: tuple[str, ...]


class KeyProvider(Protocol):
    """A source of keys; thread-safe, never waits."""

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | AccessRefusal:
        """Return the key for a token with this header, or the refusal."""
        ...


class SharedSecret:
    """One secret that signs and verifies tokens; raises ``ValueError`` for an asymmetric key."""

    def __init__(self, secret: bytes) -> None:
        try:
            get_algorithm_by_name(HS256).prepare_key(secret)
        except InvalidKeyError:
            raise ValueError("it is an asymmetric key, and others may know its public part") from None
        self._key = VerifyingKey(secret, (HS256,))

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | AccessRefusal:  # noqa: ARG002 - the protocol's signature
        """Return the secret, whatever key id the token has."""
        return self._key


class KeySet:
    """Public keys by key id; a token without a key id is verified with the only key of a set."""

    def __init__(self, keys: Mapping[str | None, VerifyingKey]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | AccessRefusal:
        """Return the key with the token's key id."""
        name = header.get("kid")
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name, INVALID) if isinstance(name, str) else INVALID


def read_key_set(document: bytes) -> KeySet:
    """Return the usable keys of a JSON Web Key Set (RFC 7517, section 5); others are skipped.

    Raises ``ValueError`` with a reason if there are none.
    """
    try:
        members = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is not a JSON Web Key Set") from None
    members = members[:MAX_KEYS] if isinstance(members, list) else []
    keys = {member.get("kid"): key for member in members if (key := _verifying_key(member)) is not None}
    if not keys:
        raise ValueError("it has no usable public key")
    return KeySet(keys)


def _verifying_key(member: object) -> VerifyingKey | None:
    if not isinstance(member, dict) or not isinstance(member.get("kid"), str | None):
        return None
    allowed = _OF_TYPE.get(str(member.get("kty")), ())
    named = member.get("alg")
    # A published private key is compromised: whoever has read the set can sign.
    if not allowed or named not in (None, *allowed) or member.get("use", "sig") != "sig" or "d" in member:
        return None
    try:
        key = PyJWK(member)
    except Exception:  # noqa: BLE001 - an invalid entry must not hide the other keys
        return None
    if allowed is _RSA:
        return VerifyingKey(key.key, (named,) if named else _RSA) if key.key.key_size >= MIN_RSA_BITS else None
    # Each elliptic curve has one algorithm.
    return VerifyingKey(key.key, (key.algorithm_name,)) if key.algorithm_name in allowed else None
