"""Reports runs of LlamaIndex's ``IngestionPipeline``, by means of LlamaIndex's instrumentation::

    from rag_pipeline.adapters.llama_index import show; show()

Pipelines, transformations and documents are not changed. The adapter observes the spans that LlamaIndex opens around a
run and around each of its transformations, and the events of its embeddings.
"""

from __future__ import annotations

import inspect
from typing import Any

from rag_pipeline.adapters.libraries import require_library
from rag_pipeline.status.pipeline import PipelineStatus

require_library("llama_index.core", "llama-index-core", "llama-index")

from llama_index.core.ingestion import IngestionPipeline  # noqa: E402 - after the check that it is installed
from llama_index.core.instrumentation.event_handlers import BaseEventHandler  # noqa: E402
from llama_index.core.instrumentation.events import BaseEvent  # noqa: E402
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent  # noqa: E402
from llama_index.core.instrumentation.span import BaseSpan  # noqa: E402
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler  # noqa: E402
from llama_index_instrumentation import get_dispatcher  # noqa: E402

from rag_pipeline.adapters.llama_index_spans import SpanTracker  # noqa: E402

_spans = SpanTracker()


def show(pipeline: IngestionPipeline | None = None, *, status: PipelineStatus | None = None) -> None:
    """Report the runs of this ingestion pipeline, or of every one of the process, from now on.

    Reports go to ``status`` if it is given; then you start the service yourself. Another call only changes the target.
    """
    _spans.show(pipeline, status)
    root = get_dispatcher()
    if not any(isinstance(handler, _SpanHandler) for handler in root.span_handlers):
        root.add_span_handler(_SpanHandler())
        root.add_event_handler(_EventHandler())


def hide() -> None:
    """Report nothing any more."""
    root = get_dispatcher()
    root.span_handlers[:] = [handler for handler in root.span_handlers if not isinstance(handler, _SpanHandler)]
    root.event_handlers[:] = [handler for handler in root.event_handlers if not isinstance(handler, _EventHandler)]
    _spans.clear()


class _SpanHandler(BaseSpanHandler[BaseSpan]):
    """Forwards LlamaIndex's spans; keeps none, so memory does not grow."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex knows the handler."""
        return "RagPipelineSpanHandler"

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002 - the signature is LlamaIndex's
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Handle the start of a span."""
        _spans.enter(id_, parent_span_id, instance, bound_args.arguments)

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002
        instance: Any = None,  # noqa: ARG002
        result: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Handle the end of a span."""
        _spans.leave(id_, result)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002
        instance: Any = None,  # noqa: ARG002
        err: BaseException | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Handle the end of a span by an error."""
        _spans.drop(id_, err)


class _EventHandler(BaseEventHandler):
    """Forwards the events of finished embeddings."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex knows the handler."""
        return "RagPipelineEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:  # noqa: ARG002 - the signature is LlamaIndex's
        """Handle an event."""
        if isinstance(event, EmbeddingEndEvent) and event.span_id is not None:
            _spans.embedded(event.span_id, len(event.chunks))
