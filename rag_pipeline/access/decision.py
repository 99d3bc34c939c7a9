"""The decision about a token: what its holder may see and until when, or why it is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from rag_pipeline.contract.events import NS_PIPELINE, namespaces_of


class RefusalCode(StrEnum):
    """The reason of a refusal, for programs."""

    TOKEN_MISSING = "token_missing"
    TOKEN_INVALID = "token_invalid"
    TOKEN_EXPIRED = "token_expired"
    NAMESPACE_NOT_ALLOWED = "namespace_not_allowed"
    KEYS_UNAVAILABLE = "keys_unavailable"
    """The token can't be verified now; the same token may be accepted in a moment."""


class AccessRefusal(NamedTuple):
    """Why a token is refused. ``message`` is one line for people and never contains the token.

    ``pending`` means that the key is being fetched: the same token may get another decision within seconds.
    """

    code: RefusalCode
    message: str
    pending: bool = False


class Access(NamedTuple):
    """Access that a token gives its holder.

    ``namespaces`` is None for all of them. ``/pipeline`` also allows all, because it has the events of all.
    ``expires_at`` is in wall-clock seconds, None if the token does not expire.
    """

    namespaces: frozenset[str] | None = None
    expires_at: float | None = None

    @property
    def limited(self) -> bool:
        """Whether the holder may not see all pipelines."""
        return self.namespaces is not None and NS_PIPELINE not in self.namespaces

    def allows(self, namespace: str) -> bool:
        """Return whether the holder may see the events of the namespace."""
        return self.namespaces is None or NS_PIPELINE in self.namespaces or namespace in self.namespaces

    def shows(self, pipeline_type: str | None) -> bool:
        """Return whether the holder may see pipelines of the type."""
        return any(self.allows(namespace) for namespace in namespaces_of(pipeline_type))


EVERYTHING = Access()
MISSING = AccessRefusal(RefusalCode.TOKEN_MISSING, "a token is needed to see this")
INVALID = AccessRefusal(RefusalCode.TOKEN_INVALID, "the token is not valid")
EXPIRED = AccessRefusal(RefusalCode.TOKEN_EXPIRED, "the token has expired")


def not_allowed(namespace: str) -> AccessRefusal:
    """Return the refusal for a namespace that the token does not allow."""
    return AccessRefusal(RefusalCode.NAMESPACE_NOT_ALLOWED, f"the token does not allow {namespace}")
