"""The ``Authorization`` header (RFC 9110, section 11.6.2), as far as it carries a bearer token (RFC 6750)."""

from __future__ import annotations

import re

REALM = "rag-pipeline"

_BEARER = re.compile(r"bearer +([^\s,]+)", re.IGNORECASE)


def token_of(authorization: str | None) -> str | None:
    """Return the token; None for none, for one of another scheme, and for more than one."""
    found = _BEARER.fullmatch((authorization or "").strip())
    return None if found is None else found[1]
