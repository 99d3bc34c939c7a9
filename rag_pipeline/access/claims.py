"""Reads what the claims of a verified token allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rag_pipeline.access.decision import EXPIRED, Access, AccessRefusal, RefusalCode
from rag_pipeline.contract.events import resolve_namespace

NAMESPACES = "namespaces"


def access_from_claims(claims: Mapping[str, Any], now: float) -> Access | AccessRefusal:
    """Return what the claims allow at the wall-clock time ``now``.

    ``exp`` is required. ``namespaces`` limits the access: a list of names, or a string of names separated by spaces,
    with or without the leading slash; ``/`` means ``/pipeline``. An unknown name allows nothing. Without the claim all
    namespaces are allowed.
    """
    expires_at = _time(claims.get("exp"))
    if expires_at is None:
        return AccessRefusal(RefusalCode.TOKEN_INVALID, "the token needs an exp claim that is a time in seconds")
    if expires_at <= now:
        return EXPIRED
    if NAMESPACES not in claims:
        return Access(None, expires_at)
    names = claims[NAMESPACES]
    if isinstance(names, str):
        names = names.split()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return AccessRefusal(RefusalCode.TOKEN_INVALID, f"the token's {NAMESPACES} claim is not a list of names")
    return Access(frozenset(map(_namespace, names)), expires_at)


def _namespace(name: str) -> str:
    if not name:  # with a slash it would be "/", which allows everything
        return name
    return resolve_namespace(f"/{name.removeprefix('/')}")


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None
