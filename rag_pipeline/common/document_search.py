"""The interface between the service, which knows no documents, and what searches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

MAX_RESULTS = 100
DEFAULT_RESULTS = 5
MAX_QUESTION_CHARACTERS = 2_000


class DocumentQuery(NamedTuple):
    """A question, and the documents to search: None stands for all.

    pipelines: ids of pipelines, as their states have them.
    path: pattern for a file's id or name, with ``*`` and ``?``.
    type: a MIME type, perhaps with ``*``, a file extension, or a kind such as ``markdown``.
    """

    question: str
    pipelines: frozenset[str] | None = None
    path: str | None = None
    type: str | None = None
    limit: int = DEFAULT_RESULTS


class DocumentSearch(Protocol):
    """Searches the stored documents; thread-safe."""

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        """Return the results as JSON objects, best first; raises a RagPipelineError."""
        ...
