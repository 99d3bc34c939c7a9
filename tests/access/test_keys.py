"""The usable keys of a key set, and their algorithms."""

from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access.decision import INVALID
from rag_pipeline.access.keys import SharedSecret, VerifyingKey, read_key_set
from tests.access.signing import key_set, private_key, public_jwk


def algorithms(document: bytes, name: str | None = "first") -> tuple[str, ...]:
    found = read_key_set(document).find({} if name is None else {"kid": name})
    assert isinstance(found, VerifyingKey)
    return found.algorithms


def test_a_key_is_bound_to_the_algorithms_of_its_type() -> None:
    assert algorithms(key_set(public_jwk("RS256"))) == ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    assert algorithms(key_set(public_jwk("ES256"))) == ("ES256",)
    assert algorithms(key_set(public_jwk("EdDSA"))) == ("EdDSA",)


def test_a_key_with_an_algorithm_is_bound_to_it() -> None:
    assert algorithms(key_set(public_jwk("RS256", alg="PS384"))) == ("PS384",)


def test_keys_are_found_by_key_id() -> None:
    keys = read_key_set(key_set(public_jwk("ES256", "old"), public_jwk("ES256", "new")))
    assert isinstance(keys.find({"kid": "old"}), VerifyingKey)
    assert keys.find({"kid": "old"}) != keys.find({"kid": "new"})
    assert keys.find({"kid": "other"}) == INVALID


@pytest.mark.parametrize("kid", [None, 5, [], {}])
def test_a_token_without_a_key_id_is_verified_with_the_only_key(kid: object) -> None:
    header = {} if kid is None else {"kid": kid}
    alone, two = key_set(public_jwk("ES256")), key_set(public_jwk("ES256", "a"), public_jwk("ES256", "b"))
    assert isinstance(read_key_set(alone).find(header), VerifyingKey) is (kid is None)
    assert read_key_set(two).find(header) == INVALID


def small_rsa() -> dict[str, object]:
    public = rsa.generate_private_key(65537, 1024).public_key()
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public)), "kid": "first"}


UNUSABLE = {
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "first"},
    "for encryption": public_jwk("RS256", use="enc"),
    "of another algorithm": public_jwk("RS256", alg="HS256"),
    "of no algorithm": public_jwk("RS256", alg="none"),
    "named by a number": public_jwk("RS256", kid=5),
    "with its private part": {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private_key("ES256"))), "kid": "first"},
    "too short": small_rsa(),
    "not a number": {**public_jwk("RS256"), "n": "!"},
    "on another curve": {**public_jwk("ES256"), "crv": "P-999"},
    "without a kind": {"kid": "first"},
    "no object": "first",
}


@pytest.mark.parametrize("member", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_key_is_skipped(member: dict[str, object]) -> None:
    assert len(read_key_set(key_set(public_jwk("ES256", "good"), member))) == 1
    with pytest.raises(ValueError, match="no usable public key"):
        read_key_set(key_set(member))


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"keys": 5}', b'{"keys": []}']
)
def test_an_invalid_key_set_raises_with_a_short_reason(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it (is not a JSON Web Key Set|has no usable public key)$"):
        read_key_set(document)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["keys", "kty", "kid", "n", "e", "crv", "x", "alg"]),
                inner | st.sampled_from(["RSA", "EC", "OKP"]),
            )
        ),
    )
)
def test_any_document_gives_keys_or_is_refused(document: object) -> None:
    try:
        keys = read_key_set(json.dumps(document).encode())
    except ValueError:
        return
    assert len(keys) > 0


def test_a_shared_secret_has_one_algorithm_whatever_the_header_says() -> None:
    found = SharedSecret(b"x" * 32).find({"alg": "RS256", "kid": "any"})
    assert found == VerifyingKey(b"x" * 32, ("HS256",))


def test_a_public_key_is_not_a_shared_secret() -> None:
    from cryptography.hazmat.primitives import serialization

    pem = (
        private_key("RS256")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="asymmetric key"):
        SharedSecret(pem)
