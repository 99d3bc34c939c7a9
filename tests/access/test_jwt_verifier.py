"""Signed tokens: what is taken, and every way to be refused that RFC 8725 warns of."""

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


def test_a_token_that_is_signed_with_the_secret_is_taken_until_it_expires() -> None:
    expires = int(time.time()) + 60
    assert BY_SECRET.check(shared(exp=expires)) == Access(None, float(expires))
    assert BY_SECRET.check(shared(exp=expires, namespaces=["/local_files"])) == Access(
        frozenset({"/local_files"}), float(expires)
    )


@pytest.mark.parametrize(("algorithm", "name"), [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")])
def test_a_token_that_is_signed_with_a_published_key_is_taken(algorithm: str, name: str) -> None:
    assert isinstance(BY_KEYS.check(signed(algorithm, name)), Access)


@pytest.mark.parametrize("algorithm", ["RS384", "PS256"])
def test_an_rsa_key_may_sign_in_every_way_that_its_set_does_not_exclude(algorithm: str) -> None:
    token = jwt.encode(claims(), private_key("RS256", "rsa"), algorithm=algorithm, headers={"kid": "rsa"})
    assert isinstance(BY_KEYS.check(token), Access)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
@pytest.mark.parametrize("secret", [None, b"", SECRET.encode()])
def test_a_token_that_is_not_signed_is_refused(alg: str, secret: bytes | None) -> None:
    for tokens in (BY_SECRET, BY_KEYS):
        token = forged({"alg": alg, "kid": "rsa"}, claims(), secret)
        assert refusal(tokens.check(token)).code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_public_key_is_never_taken_for_a_secret(form: str) -> None:
    public = private_key("RS256", "rsa").public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = pem if form == "pem" else json.dumps(public_jwk("RS256", "rsa")).encode()
    token = forged({"alg": "HS256", "kid": "rsa"}, claims(), key)
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_secret_signs_in_one_way_alone(algorithm: str) -> None:
    token = jwt.encode(claims(), SECRET * 2, algorithm=algorithm)
    assert refusal(JwtVerifier(SharedSecret(SECRET.encode() * 2)).check(token)).code is RefusalCode.TOKEN_INVALID


def test_an_asymmetric_signature_is_refused_where_a_secret_is_expected() -> None:
    assert refusal(BY_SECRET.check(signed("RS256", "rsa"))).code is RefusalCode.TOKEN_INVALID


def test_a_key_of_the_set_is_good_for_its_own_tokens_alone() -> None:
    token = jwt.encode(claims(), private_key("RS256", "stranger"), algorithm="RS256", headers={"kid": "rsa"})
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID
    token = jwt.encode(claims(), private_key("ES256", "ec"), algorithm="ES256", headers={"kid": "rsa"})
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID


def test_a_key_that_a_token_brings_along_is_not_looked_at() -> None:
    stranger = private_key("ES256", "stranger")
    header = {"kid": "unknown", "jwk": public_jwk("ES256", "stranger"), "jku": "http://127.0.0.1:1/keys"}
    token = jwt.encode(claims(), stranger, algorithm="ES256", headers=header)
    assert refusal(BY_KEYS.check(token)).code is RefusalCode.TOKEN_INVALID


def test_a_token_has_to_expire() -> None:
    token = jwt.encode({"sub": "someone"}, SECRET, algorithm="HS256")
    assert "exp" in refusal(BY_SECRET.check(token)).message


@pytest.mark.parametrize("seconds", [-0.001, -5, -3600])
def test_an_expired_token_is_told_so_without_leeway(seconds: float) -> None:
    assert refusal(BY_SECRET.check(shared(seconds=seconds))).code is RefusalCode.TOKEN_EXPIRED


def test_an_expired_token_of_someone_else_is_just_not_valid() -> None:
    token = shared("another secret of sufficient length", seconds=-60)
    assert refusal(BY_SECRET.check(token)).code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_clock_may_be_a_little_ahead_but_not_more(claim: str) -> None:
    soon, later = ({**claims(), claim: time.time() + seconds} for seconds in (5, 30))
    assert isinstance(BY_SECRET.check(jwt.encode(soon, SECRET, algorithm="HS256")), Access)
    decision = BY_SECRET.check(jwt.encode(later, SECRET, algorithm="HS256"))
    assert refusal(decision).code is RefusalCode.TOKEN_INVALID
    assert "not valid yet" in refusal(decision).message


@pytest.mark.parametrize(
    ("audience", "taken"), [("ours", True), (["theirs", "ours"], True), ("theirs", False), (None, False)]
)
def test_the_audience_is_checked(audience: object, taken: bool) -> None:
    tokens = JwtVerifier(SharedSecret(SECRET.encode()), audience="ours")
    token = shared() if audience is None else shared(aud=audience)
    assert isinstance(tokens.check(token), Access) is taken


def test_a_token_for_an_audience_is_refused_where_none_is_configured() -> None:
    assert "audience" in refusal(BY_SECRET.check(shared(aud="someone else"))).message


@pytest.mark.parametrize(
    ("issuer", "taken"), [("https://ours", True), ("https://theirs", False), (None, False), (["https://ours"], False)]
)
def test_the_issuer_is_checked(issuer: object, taken: bool) -> None:
    tokens = JwtVerifier(SharedSecret(SECRET.encode()), issuer="https://ours")
    payload = claims() if issuer is None else claims(iss=issuer)
    assert isinstance(tokens.check(forged({"alg": "HS256"}, payload, SECRET.encode())), Access) is taken


def test_claims_that_nothing_depends_on_are_no_reason_to_refuse() -> None:
    assert isinstance(BY_SECRET.check(shared(sub=5, jti=7, role="admin")), Access)


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_=-]{0,20}(\.[A-Za-z0-9_=-]{0,20}){0,4}", fullmatch=True))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    for tokens in (BY_SECRET, BY_KEYS):
        assert refusal(tokens.check(text)).code is RefusalCode.TOKEN_INVALID
        assert not tokens.pending(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64", "typ"]), JSON | st.sampled_from(["HS256", "none", "rsa"])
    ),
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "namespaces"]), JSON),
)
def test_headers_and_claims_of_any_shape_are_decided_about(
    header: dict[str, object], payload: dict[str, object]
) -> None:
    token = forged(header, payload, SECRET.encode())
    assert isinstance(BY_KEYS.check(token), AccessRefusal)
    decision = BY_SECRET.check(token)
    if isinstance(decision, Access):
        assert header["alg"] == "HS256"
        assert decision.expires_at is not None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_token_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    token = bytearray(shared().encode())
    place %= len(token)
    token[place] ^= change
    assert isinstance(BY_SECRET.check(token.decode("latin-1")), AccessRefusal)
