"""What is decided about a token: what its holder may see and until when, or why it is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from rag_pipeline.contract.events import NS_PIPELINE, namespaces_of


class Code(StrEnum):
    """Why someone is refused, for programs."""

    TOKEN_MISSING = "token_missing"
    TOKEN_INVALID = "token_invalid"
    TOKEN_EXPIRED = "token_expired"
    NAMESPACE_NOT_ALLOWED = "namespace_not_allowed"
    KEYS_UNAVAILABLE = "keys_unavailable"
    """It can't be told whether the token is good; the same one may be good in a moment."""


class Refusal(NamedTuple):
    """Why someone is refused; the message is one line for people and never repeats the token.

    ``pending`` says that the answer is on its way: asked again within seconds, the token gets another one.
    """

    code: Code
    message: str
    pending: bool = False


class Access(NamedTuple):
    """What a token lets its holder see.

    ``namespaces`` None stands for all of them, as ``/pipeline`` among them does, which has the events of all.
    ``expires_at`` is in wall-clock seconds, None for a token that does not expire.
    """

    namespaces: frozenset[str] | None = None
    expires_at: float | None = None

    @property
    def limited(self) -> bool:
        """Whether there are pipelines that the holder may not see."""
        return self.namespaces is not None and NS_PIPELINE not in self.namespaces

    def allows(self, namespace: str) -> bool:
        """Return whether the holder may see the events of the namespace."""
        return self.namespaces is None or NS_PIPELINE in self.namespaces or namespace in self.namespaces

    def shows(self, pipeline_type: str | None) -> bool:
        """Return whether the holder may see pipelines of the type."""
        return any(self.allows(namespace) for namespace in namespaces_of(pipeline_type))


EVERYTHING = Access()
MISSING = Refusal(Code.TOKEN_MISSING, "a token is needed to see this")
INVALID = Refusal(Code.TOKEN_INVALID, "the token is not valid")
EXPIRED = Refusal(Code.TOKEN_EXPIRED, "the token has expired")


def not_allowed(namespace: str) -> Refusal:
    """Return the refusal of one who may see other namespaces only."""
    return Refusal(Code.NAMESPACE_NOT_ALLOWED, f"the token does not allow {namespace}")
