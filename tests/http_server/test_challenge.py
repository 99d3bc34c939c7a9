"""The response to each refusal."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.access import AccessRefusal
from rag_pipeline.access.decision import EXPIRED, INVALID, MISSING, not_allowed
from rag_pipeline.access.jwks import PENDING, UNAVAILABLE
from rag_pipeline.http_server.challenge import refused

REALM = 'Bearer realm="rag-pipeline"'


@pytest.mark.parametrize(
    ("refusal", "status", "challenge"),
    [
        (MISSING, 401, REALM),
        (INVALID, 401, f'{REALM}, error="invalid_token", error_description="the token is not valid"'),
        (EXPIRED, 401, f'{REALM}, error="invalid_token", error_description="the token has expired"'),
        (
            not_allowed("/pipeline"),
            403,
            f'{REALM}, error="insufficient_scope", error_description="the token does not allow /pipeline"',
        ),
    ],
)
def test_a_refusal_has_a_challenge(refusal: AccessRefusal, status: int, challenge: str) -> None:
    content = refused(refusal)
    assert (content.status, content.headers) == (status, {"WWW-Authenticate": challenge})
    assert isinstance(content.body, bytes)
    assert json.loads(content.body) == {"error": refusal.message}


@pytest.mark.parametrize("refusal", [PENDING, UNAVAILABLE])
def test_an_unavailable_key_is_503_with_a_retry_time(refusal: AccessRefusal) -> None:
    content = refused(refusal)
    assert (content.status, content.headers) == (503, {"Retry-After": "1"})
