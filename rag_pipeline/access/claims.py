"""What the claims of a token that was found genuine let its holder see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rag_pipeline.access.decision import EXPIRED, Access, Code, Refusal
from rag_pipeline.contract.events import resolve_namespace

NAMESPACES = "namespaces"


def access_of(claims: Mapping[str, Any], now: float) -> Access | Refusal:
    """Return what the claims allow at the wall-clock time ``now``.

    ``exp`` has to be there. ``namespaces`` limits what is seen: names in a list, or in a string with spaces between
    them, with or without the slash before each; ``/`` stands for ``/pipeline``. A name that is unknown allows nothing;
    without the claim all are allowed.
    """
    expires_at = _time(claims.get("exp"))
    if expires_at is None:
        return Refusal(Code.TOKEN_INVALID, "the token has no exp claim that is a time in seconds")
    if expires_at <= now:
        return EXPIRED
    if NAMESPACES not in claims:
        return Access(None, expires_at)
    names = claims[NAMESPACES]
    if isinstance(names, str):
        names = names.split()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return Refusal(Code.TOKEN_INVALID, f"the token's {NAMESPACES} claim is no list of names")
    return Access(frozenset(map(_namespace, names)), expires_at)


def _namespace(name: str) -> str:
    if not name:  # no name at all: with its slash it would be one that allows everything
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
