"""What the service says when it refuses a client, as an error for people."""

from __future__ import annotations

from rag_pipeline.errors import AccessDeniedError, UnreachableError

MAX_CHARACTERS = 200
_REASONS = {
    "token_missing": "it asks for a token, and none was given",
    "token_invalid": "it does not accept this token",
    "token_expired": "the token has expired",
    "namespace_not_allowed": "the token does not allow it",
}
RENEWABLE = frozenset({"token_invalid", "token_expired"})
"""The codes that a newer token may help against."""
PASSING = frozenset({"keys_unavailable"})
"""The codes of what is no refusal of the token: the same one may be good in a moment."""


def refusal(namespace: str, data: object) -> AccessDeniedError | UnreachableError:
    """Return the error for the data of a CONNECT_ERROR: ``{message, data: {code}}``, or what another server sends."""
    code, message = _field(data, "code"), _field(data, "message") or (data if isinstance(data, str) else None)
    reason = _REASONS.get(code or "") or message or "it gives no reason"
    if code in PASSING:
        return UnreachableError(reason)
    return AccessDeniedError(f"the service refused {namespace}: {reason}", code=code)


def refusal_over_http(token: str | None, challenge: str) -> AccessDeniedError:
    """Return the error for a 401 and its ``WWW-Authenticate``."""
    code = "token_missing" if token is None else "token_expired" if "expired" in challenge else "token_invalid"
    return AccessDeniedError(f"the service refused the client: {_REASONS[code]}", code=code)


def _field(data: object, key: str) -> str | None:
    if not isinstance(data, dict):
        return None
    value = data.get(key)
    if isinstance(value, str) and value.strip():
        return " ".join(value.split())[:MAX_CHARACTERS]
    return _field(data.get("data"), key)
