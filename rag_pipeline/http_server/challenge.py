"""The answers to those who may not see what they ask for (RFC 6750, section 3)."""

from __future__ import annotations

from http import HTTPStatus

from rag_pipeline.access import Code, Refusal
from rag_pipeline.access.bearer import REALM
from rag_pipeline.http_server.content import Content, error_content

RETRY_SECONDS = 1


def refused(refusal: Refusal) -> Content:
    """Return the answer to a request whose token was refused."""
    if refusal.code is Code.KEYS_UNAVAILABLE:
        retry = {"Retry-After": str(RETRY_SECONDS)}
        return error_content(HTTPStatus.SERVICE_UNAVAILABLE, refusal.message, retry)
    if refusal.code is Code.NAMESPACE_NOT_ALLOWED:
        return _challenged(HTTPStatus.FORBIDDEN, refusal.message, "insufficient_scope")
    # One that showed no token is told no error: it may not have known that one is needed.
    error = None if refusal.code is Code.TOKEN_MISSING else "invalid_token"
    return _challenged(HTTPStatus.UNAUTHORIZED, refusal.message, error)


def _challenged(status: HTTPStatus, message: str, error: str | None) -> Content:
    told = "" if error is None else f', error="{error}", error_description="{message}"'
    return error_content(status, message, {"WWW-Authenticate": f'Bearer realm="{REALM}"{told}'})
