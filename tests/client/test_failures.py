from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.client.failures import failure_reason, refusal_error, unauthorized_error
from rag_pipeline.errors import AccessDeniedError, UnreachableError


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        ({"message": "no", "data": {"code": "token_missing"}}, "token_missing", "it requires a token"),
        ({"message": "no", "data": {"code": "token_expired"}}, "token_expired", "has expired"),
        ({"code": "namespace_not_allowed", "message": "no"}, "namespace_not_allowed", "does not allow this namespace"),
        ({"message": "closed\non Sundays", "data": {"code": "weekend"}}, "weekend", "closed on Sundays"),
        ("Unable to connect", None, "Unable to connect"),
        ({}, None, "no reason"),
    ],
)
def test_a_refusal_in_any_form_is_one_line(data: object, code: str | None, said: str) -> None:
    error = refusal_error("/pipeline", data)
    assert isinstance(error, AccessDeniedError)
    assert isinstance(error, PermissionError)
    assert error.code == code
    assert str(error).startswith("the service refused /pipeline: ")
    assert said in str(error)
    assert "\n" not in str(error)


def test_unavailable_keys_are_not_a_refusal() -> None:
    assert isinstance(
        refusal_error("/pipeline", {"message": "?", "data": {"code": "keys_unavailable"}}), UnreachableError
    )


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["code", "message", "data"]), inner),
    )
)
def test_any_data_of_a_server_makes_an_error(data: object) -> None:
    assert len(str(refusal_error("/pipeline", data))) < 300


@pytest.mark.parametrize(
    ("token", "challenge", "code"),
    [
        (None, 'Bearer realm="x"', "token_missing"),
        ("a", 'Bearer error="invalid_token", error_description="the token is not valid"', "token_invalid"),
        ("a", 'Bearer error="invalid_token", error_description="the token has expired"', "token_expired"),
    ],
)
def test_a_challenge_over_http_has_the_same_codes(token: str | None, challenge: str, code: str) -> None:
    assert unauthorized_error(token, challenge).code == code


def test_the_reason_is_found_among_the_causes() -> None:
    def caused(by: BaseException) -> Exception:
        try:
            raise ValueError("Connection error") from by
        except ValueError as error:
            return error

    assert failure_reason(caused(ConnectionRefusedError(111, "Connection refused"))) == "Connection refused"
    assert failure_reason(caused(TimeoutError("timed out"))) == "no answer in time"
    assert failure_reason(ValueError("Unexpected status code 404 in server response")) == "it answered 404"
    assert failure_reason(ValueError("(Caused by X('[Errno 113] No route to host'))")) == "No route to host"
    assert failure_reason(ValueError("a\nb")) == "a b"
