"""Responses to refused tokens (RFC 6750, section 3)."""

from __future__ import annotations

from http import HTTPStatus

from rag_pipeline.access import AccessRefusal, RefusalCode
from rag_pipeline.access.bearer import REALM
from rag_pipeline.http_server.content import ResponseContent, error_content, unavailable

RETRY_SECONDS = 1


def refused(refusal: AccessRefusal) -> ResponseContent:
    """Return the response to a request whose token was refused."""
    if refusal.code is RefusalCode.KEYS_UNAVAILABLE:
        return unavailable(refusal.message, RETRY_SECONDS)
    if refusal.code is RefusalCode.NAMESPACE_NOT_ALLOWED:
        return _challenge(HTTPStatus.FORBIDDEN, refusal.message, "insufficient_scope")
    # Without a token there is no error code: the client may not have known that it needs one.
    error = None if refusal.code is RefusalCode.TOKEN_MISSING else "invalid_token"
    return _challenge(HTTPStatus.UNAUTHORIZED, refusal.message, error)


def _challenge(status: HTTPStatus, message: str, error: str | None) -> ResponseContent:
    details = "" if error is None else f', error="{error}", error_description="{message}"'
    return error_content(status, message, {"WWW-Authenticate": f'Bearer realm="{REALM}"{details}'})
