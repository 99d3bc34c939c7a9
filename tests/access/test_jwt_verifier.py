"""Signed tokens: valid ones, and the attacks that RFC 8725 warns of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access.decision import Access, AccessRefusal, RefusalCode
from rag_pipeline.access.jwt_verifier import JwtVerifier
from rag_pipeline.access.keys import SharedSecret, read_key_set
from tests.access.signing import SECRET, claims, key_set, private_key, public_jwk, shared, signed

BY_SECRET = JwtVerifier(SharedSecret(SECRET.encode()))
BY_KEYS = JwtVerifier(
    read_key_set(key_set(public_jwk("RS256", "rsa"), public_jwk("ES256", "ec"), public_jwk("EdDSA", "ed")))
)


def refusal(decision: Access | AccessRefusal) -> AccessRefusal:
    assert isinstance(decision, AccessRefusal), decision
    assert "\n" not in decision.message
    return decision


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: dict[str, object], payload: dict[str, object], secret: bytes | None = None) -> str:
    """Return a token with any header, signed by HMAC or not at all."""
    text = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(payload).encode())}"
    signature = b"" if secret is None else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64url(signature)}"


def test_a_token_signed_with_the_secret_is_valid_until_it_expires() -> None:
    expires = int(time.time()) + 60
    assert BY_SECRET.check(shared(exp=expires)) == Access(None, float(expires))
    assert BY_SECRET.check(shared(exp=expires, namespaces=["/local_files"])) == Access(
        frozenset({"/local_files"}), float(expires)
    )


@pytest.mark.parametrize(("algorithm", "name"), [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")])
def test_a_token_signed_with_a_published_key_is_valid(algorithm: str, name: str) -> None:
    assert isinstance(BY_KEYS.check(signed(algorithm, name)), Access)


@pytest.mark.parametrize("algorithm", ["RS384", "PS256"])
def test_an_rsa_key_without_an_algorithm_allows_every_rsa_algorithm(algorithm: str) -> None:
    token = jwt.encode(claims(), private_key("RS256", "rsa"), algorithm=algorithm, headers={"kid": "rsa"})
    assert isinstance(BY_KEYS.check(token), Access)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
@pytest.mark.parametrize("secret", [None, b"", SECRET.encode()])
def test_an_unsigned_token_is_refused(alg: str, secret: bytes | None) -> None:
    for tokens in (BY_SECRET, BY_KEYS):
        token = forged({"alg": alg, "kid": "rsa"}, claims(), secret)
        assert refusal(tokens.check(token)).code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_public_key_is_never_used_as_a_secret(form: str) -> None:
    public = private_key("RS256", "rsa").public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = pem if form == "pem" else json.dumps(public_jwk("RS256", "rsa")).encode()
    token = forged({"alg": "HS256", "kid": "rsa"}, claims(), key)
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_secret_allows_one_algorithm(algorithm: str) -> None:
    token = jwt.encode(claims(), SECRET * 2, algorithm=algorithm)
    assert refusal(JwtVerifier(SharedSecret(SECRET.encode() * 2)).check(token)).code is RefusalCode.TOKEN_INVALID


def test_an_asymmetric_signature_is_refused_where_a_secret_is_expected() -> None:
    assert refusal(BY_SECRET.check(signed("RS256", "rsa"))).code is RefusalCode.TOKEN_INVALID


def test_each_key_of_the_set_verifies_only_its_own_tokens() -> None:
    token = jwt.encode(claims(), private_key("RS256", "stranger"), algorithm="RS256", headers={"kid": "rsa"})
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID
    token = jwt.encode(claims(), private_key("ES256", "ec"), algorithm="ES256", headers={"kid": "rsa"})
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID


def test_a_key_in_the_tokens_header_is_ignored() -> None:
    stranger = private_key("ES256", "stranger")
    header = {"kid": "unknown", "jwk": public_jwk("ES256", "stranger"), "jku": "http://127.0.0.1:1/keys"}
    token = jwt.encode(claims(), stranger, algorithm="ES256", headers=header)
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID


def test_exp_is_required() -> None:
    token = jwt.encode({"sub": "someone"}, SECRET, algorithm="HS256")
    assert "exp" in refusal(BY_SECRET.check(token)).message


@pytest.mark.parametrize("seconds", [-0.001, -5, -3600])
def test_exp_has_no_leeway(seconds: float) -> None:
    assert refusal(BY_SECRET.check(shared(seconds=seconds))).code is RefusalCode.TOKEN_EXPIRED


def test_an_expired_token_with_a_foreign_signature_is_invalid() -> None:
    token = shared("another secret of sufficient length", seconds=-60)
    assert refusal(BY_SECRET.check(token)).code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_the_issuers_clock_may_be_a_little_ahead(claim: str) -> None:
    soon, later = ({**claims(), claim: time.time() + seconds} for seconds in (5, 30))
    assert isinstance(BY_SECRET.check(jwt.encode(soon, SECRET, algorithm="HS256")), Access)
    decision = BY_SECRET.check(jwt.encode(later, SECRET, algorithm="HS256"))
    assert refusal(decision).code is RefusalCode.TOKEN_INVALID
    assert "not valid yet" in refusal(decision).message


@pytest.mark.parametrize(
    ("audience", "valid"), [("ours", True), (["theirs", "ours"], True), ("theirs", False), (None, False)]
)
def test_the_audience_is_checked(audience: object, valid: bool) -> None:
    tokens = JwtVerifier(SharedSecret(SECRET.encode()), audience="ours")
    token = shared() if audience is None else shared(aud=audience)
    assert isinstance(tokens.check(token), Access) is valid


def test_a_token_with_an_audience_is_refused_if_none_is_configured() -> None:
    assert "audience" in refusal(BY_SECRET.check(shared(aud="someone else"))).message


@pytest.mark.parametrize(
    ("issuer", "valid"), [("https://ours", True), ("https://theirs", False), (None, False), (["https://ours"], False)]
)
def test_the_issuer_is_checked(issuer: object, valid: bool) -> None:
    tokens = JwtVerifier(SharedSecret(SECRET.encode()), issuer="https://ours")
    payload = claims() if issuer is None else claims(iss=issuer)
    assert isinstance(tokens.check(forged({"alg": "HS256"}, payload, SECRET.encode())), Access) is valid


def test_unused_claims_are_not_checked() -> None:
    assert isinstance(BY_SECRET.check(shared(sub=5, jti=7, role="admin")), Access)


@pytest.mark.slow
@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_=-]{0,20}(\.[A-Za-z0-9_=-]{0,20}){0,4}", fullmatch=True))
def test_any_other_text_is_refused(text: str) -> None:
    for tokens in (BY_SECRET, BY_KEYS):
        assert refusal(tokens.check(text)).code is RefusalCode.TOKEN_INVALID
        assert not tokens.pending(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64", "typ"]), JSON | st.sampled_from(["HS256", "none", "rsa"])
    ),
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "namespaces"]), JSON),
)
def test_headers_and_claims_of_any_shape_get_a_decision(header: dict[str, object], payload: dict[str, object]) -> None:
    token = forged(header, payload, SECRET.encode())
    assert isinstance(BY_KEYS.check(token), AccessRefusal)
    decision = BY_SECRET.check(token)
    if isinstance(decision, Access):
        assert header["alg"] == "HS256"
        assert decision.expires_at is not None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_token_with_a_changed_byte_is_refused(index: int, change: int) -> None:
    token = bytearray(shared().encode())
    index %= len(token)
    token[index] ^= change
    assert isinstance(BY_SECRET.check(token.decode("latin-1")), AccessRefusal)
