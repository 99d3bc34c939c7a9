"""The guard: which settings require a token, and the decisions."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access import EVERYTHING, OPEN, Access, AccessRefusal, RefusalCode
from rag_pipeline.access.guard import MAX_TOKEN_CHARACTERS, guard_from_settings
from rag_pipeline.common.config import AuthSettings
from rag_pipeline.errors import ConfigurationError
from tests.access.signing import SECRET, key_set, public_jwk, publishing, shared, signed
from tests.support.programs import run

TOKEN = "a-token-of-the-house"
BOTH = guard_from_settings(AuthSettings(tokens=(TOKEN, "another-token-of-the-house"), jwt_secret=SECRET))


def code(decision: Access | AccessRefusal) -> str | None:
    return decision.code if isinstance(decision, AccessRefusal) else None


@pytest.mark.parametrize("token", [None, "", "anything", 5, {}])
def test_without_a_configured_token_everything_is_allowed(token: object) -> None:
    assert not OPEN.required
    assert not guard_from_settings(AuthSettings()).required
    assert OPEN.check(token) == EVERYTHING


def test_a_shared_token_allows_everything_and_does_not_expire() -> None:
    assert BOTH.required
    assert BOTH.check(TOKEN) == BOTH.check("another-token-of-the-house") == EVERYTHING


def test_shared_and_signed_tokens_can_be_combined() -> None:
    access = BOTH.check(shared(namespaces="local_files"))
    assert isinstance(access, Access)
    assert access.namespaces == frozenset({"/local_files"})


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_token_missing(token: object) -> None:
    assert code(BOTH.check(token)) == "token_missing"


@pytest.mark.parametrize(
    "token", ["x", TOKEN + "x", 5, True, [], {}, b"bytes", "a.b.c", "x" * (MAX_TOKEN_CHARACTERS + 1)]
)
def test_any_other_token_is_token_invalid(token: object) -> None:
    assert code(BOTH.check(token)) == "token_invalid"
    assert code(guard_from_settings(AuthSettings(tokens=(TOKEN,))).check(token)) == "token_invalid"
    assert not BOTH.pending(token)


def test_an_expired_token_is_token_expired() -> None:
    assert code(BOTH.check(shared(seconds=-1))) == "token_expired"


@given(st.text(max_size=100))
def test_no_refusal_contains_the_token(text: str) -> None:
    decision = BOTH.check(text)
    assert isinstance(decision, AccessRefusal)
    # Long enough that no message contains it by chance, as it could the word "token".
    repeated = BOTH.check(secret := f"{text}-{text}-a-secret-of-someone")
    assert isinstance(repeated, AccessRefusal)
    assert secret not in repeated.message


def test_the_guard_fetches_published_keys_while_it_runs() -> None:
    with publishing(key_set(public_jwk("ES256"))) as server:
        guard = guard_from_settings(AuthSettings(jwks_url=server.url, jwt_audience="ours"))
        assert guard.required
        guard.start()
        try:
            assert isinstance(guard.check(signed(aud="ours")), Access)
            assert code(guard.check(signed(aud="theirs"))) == RefusalCode.TOKEN_INVALID
            assert not guard.pending(signed(aud="ours"))
        finally:
            guard.stop()
            guard.stop()


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (AuthSettings(jwt_secret=SECRET), "STATUS_JWT_SECRET"),
        (AuthSettings(jwks_url="https://id.example.com/keys"), "STATUS_JWKS_URL"),
    ],
    ids=["secret", "keys"],
)
def test_without_pyjwt_the_error_names_what_to_install(
    settings: AuthSettings, variable: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def finding(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == missing else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", finding)
    with pytest.raises(ConfigurationError) as caught:
        guard_from_settings(settings)
    assert str(caught.value) == f'{variable} needs PyJWT: pip install "rag-pipeline-status[jwt]"'
    assert not guard_from_settings(AuthSettings()).required


def test_a_public_key_as_secret_is_an_error_that_does_not_repeat_it() -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJ\n-----END PUBLIC KEY-----"
    with pytest.raises(ConfigurationError) as caught:
        guard_from_settings(AuthSettings(jwt_secret=pem))
    assert "STATUS_JWT_SECRET" in str(caught.value)
    assert "TUZrd0V3" not in str(caught.value)


@pytest.mark.slow
def test_pyjwt_is_loaded_only_if_it_is_used() -> None:
    done = run("-c", "import sys, rag_pipeline.service.server; print('jwt' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")
