"""The keys that tokens are verified with, each bound to the algorithms it may be used for.

It is the key that decides, never what a token says of itself: a public key can't be taken for a shared secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jwt import PyJWK, get_algorithm_by_name
from jwt.exceptions import InvalidKeyError

from rag_pipeline.access.decision import INVALID, Refusal

HS256 = "HS256"
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_TYPE = {"RSA": _RSA, "EC": ("ES256", "ES384", "ES512"), "OKP": ("EdDSA",)}
MIN_RSA_BITS = 2048
MAX_KEYS = 100


class VerifyingKey(NamedTuple):
    """A key, and the algorithms a signature may be made by."""

    key: Any
    algorithms: tuple[str, ...]


class Keys(Protocol):
    """Where keys come from; any thread may ask, and none waits."""

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | Refusal:
        """Return the key for a token with this header, or why there is none."""
        ...


class SharedSecret:
    """The one secret that tokens are signed and verified with; raises ``ValueError`` for a key of a pair of keys."""

    def __init__(self, secret: bytes) -> None:
        try:
            get_algorithm_by_name(HS256).prepare_key(secret)
        except InvalidKeyError:
            raise ValueError("it is a key of a pair of keys, of which the public one is known to others") from None
        self._key = VerifyingKey(secret, (HS256,))

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | Refusal:  # noqa: ARG002 - the protocol's signature
        """Return the secret, whatever name the token has for it."""
        return self._key


class KeySet:
    """Public keys by name; a token that names none is good for a set of one."""

    def __init__(self, keys: Mapping[str | None, VerifyingKey]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, header: Mapping[str, Any]) -> VerifyingKey | Refusal:
        """Return the key that the token names."""
        name = header.get("kid")
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name, INVALID) if isinstance(name, str) else INVALID


def read_key_set(document: bytes) -> KeySet:
    """Return the keys of a JSON Web Key Set (RFC 7517, section 5) that can be used here; the others are passed over.

    Raises ``ValueError`` with a reason when there are none.
    """
    try:
        members = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is no JSON Web Key Set") from None
    members = members[:MAX_KEYS] if isinstance(members, list) else []
    keys = {member.get("kid"): key for member in members if (key := _verifying_key(member)) is not None}
    if not keys:
        raise ValueError("it has no public key that can be used")
    return KeySet(keys)


def _verifying_key(member: object) -> VerifyingKey | None:
    if not isinstance(member, dict) or not isinstance(member.get("kid"), str | None):
        return None
    allowed = _OF_TYPE.get(str(member.get("kty")), ())
    named = member.get("alg")
    # One with a private part is no secret any more: whoever read the set can sign.
    if not allowed or named not in (None, *allowed) or member.get("use", "sig") != "sig" or "d" in member:
        return None
    try:
        key = PyJWK(member)
    except Exception:  # noqa: BLE001 - whatever stands there, the other keys are good
        return None
    if allowed is _RSA:
        return VerifyingKey(key.key, (named,) if named else _RSA) if key.key.key_size >= MIN_RSA_BITS else None
    # An elliptic curve goes with one algorithm.
    return VerifyingKey(key.key, (key.algorithm_name,)) if key.algorithm_name in allowed else None
