"""Reads a bearer token (RFC 6750) from the ``Authorization`` header (RFC 9110, section 11.6.2)."""

from __future__ import annotations

import re

REALM = "rag-pipeline"

_BEARER = re.compile(r"bearer +([^\s,]+)", re.IGNORECASE)


def bearer_token(authorization: str | None) -> str | None:
    """Return the token; None if there is none or more than one, or if the scheme is another."""
    match = _BEARER.fullmatch((authorization or "").strip())
    return None if match is None else match[1]
