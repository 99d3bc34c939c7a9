"""Turns failed connections and refusals into errors with one readable line."""

from __future__ import annotations

import re
from typing import Any

import requests

from rag_pipeline.errors import AccessDeniedError, UnreachableError

MAX_CHARACTERS = 200
_REASONS = {
    "token_missing": "it requires a token, and none was given",
    "token_invalid": "it does not accept this token",
    "token_expired": "the token has expired",
    "namespace_not_allowed": "the token does not allow this namespace",
}
RENEWABLE = frozenset({"token_invalid", "token_expired"})
"""The codes for which a newer token may help."""
TRANSIENT = frozenset({"keys_unavailable"})
"""The codes that say nothing about the token: the same one may be accepted a moment later."""
_ERRNO = re.compile(r"\[Errno -?\d+\] ([\w ]+)")
_STATUS = re.compile(r"[Ss]tatus code (\d{3})")


def refusal_error(namespace: str, data: object) -> AccessDeniedError | UnreachableError:
    """Return the error for a CONNECT_ERROR; ``data`` is ``{message, data: {code}}``, or what another server sends."""
    code, message = _field(data, "code"), _field(data, "message") or (data if isinstance(data, str) else None)
    reason = _REASONS.get(code or "") or message or "it gives no reason"
    if code in TRANSIENT:
        return UnreachableError(reason)
    return AccessDeniedError(f"the service refused {namespace}: {reason}", code=code)


def unauthorized_error(token: str | None, challenge: str) -> AccessDeniedError:
    """Return the error for a 401 with this ``WWW-Authenticate``."""
    code = "token_missing" if token is None else "token_expired" if "expired" in challenge else "token_invalid"
    return AccessDeniedError(f"the service refused the client: {_REASONS[code]}", code=code)


def failure_reason(error: BaseException) -> str:
    """Return why a request failed: the text of the operating system if it is among the causes."""
    seen: set[int] = set()
    cause: Any = error
    while isinstance(cause, BaseException) and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, TimeoutError | requests.Timeout):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(status := getattr(cause, "status_code", None), int):
            return f"it answered {status}"
        nested = next((a for a in (getattr(cause, "reason", None), *cause.args) if isinstance(a, BaseException)), None)
        cause = nested or cause.__cause__ or cause.__context__
    return _reason_in_text(str(error) or type(error).__name__)


def _reason_in_text(text: str) -> str:
    """Extract the reason from a message that a library built around it."""
    if "timed out" in text:
        return "no answer in time"
    if errno := _ERRNO.search(text):
        return errno[1].strip()
    if status := _STATUS.search(text):
        return f"it answered {status[1]}"
    return " ".join(text.split())[:MAX_CHARACTERS]


def _field(data: object, key: str) -> str | None:
    if not isinstance(data, dict):
        return None
    value = data.get(key)
    if isinstance(value, str) and value.strip():
        return " ".join(value.split())[:MAX_CHARACTERS]
    return _field(data.get("data"), key)
