"""LlamaIndex's ``IngestionPipeline``, shown through LlamaIndex's own instrumentation.

This is the one line::

    from rag_pipeline.adapters.llama_index import show; show()

Pipelines, transformations and documents stay as they are: what is seen are the spans that LlamaIndex opens around a
run and around each of its transformations, and the events of its embeddings.
"""

from __future__ import annotations

import inspect
from typing import Any

from rag_pipeline.adapters.libraries import need
from rag_pipeline.status.pipeline import PipelineStatus

need("llama_index.core", "llama-index-core", "llama-index")

from llama_index.core.ingestion import IngestionPipeline  # noqa: E402 - after the line that says what is missing
from llama_index.core.instrumentation.event_handlers import BaseEventHandler  # noqa: E402
from llama_index.core.instrumentation.events import BaseEvent  # noqa: E402
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent  # noqa: E402
from llama_index.core.instrumentation.span import BaseSpan  # noqa: E402
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler  # noqa: E402
from llama_index_instrumentation import get_dispatcher  # noqa: E402

from rag_pipeline.adapters.llama_index_spans import Spans  # noqa: E402

_spans = Spans()


def show(pipeline: IngestionPipeline | None = None, *, status: PipelineStatus | None = None) -> None:
    """Show the runs of this ingestion pipeline, or of every one of the process, from now on.

    They go to ``status`` if that is given, which you serve yourself. Calls again change nothing but where they go.
    """
    _spans.show(pipeline, status)
    root = get_dispatcher()
    if not any(isinstance(handler, _SpanHandler) for handler in root.span_handlers):
        root.add_span_handler(_SpanHandler())
        root.add_event_handler(_EventHandler())


def hide() -> None:
    """Show nothing any more."""
    root = get_dispatcher()
    root.span_handlers[:] = [handler for handler in root.span_handlers if not isinstance(handler, _SpanHandler)]
    root.event_handlers[:] = [handler for handler in root.event_handlers if not isinstance(handler, _EventHandler)]
    _spans.forget()


class _SpanHandler(BaseSpanHandler[BaseSpan]):
    """Passes on what LlamaIndex says of its spans; keeps none, so that nothing grows."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name LlamaIndex knows it by."""
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
        """A span begins."""
        _spans.enter(id_, parent_span_id, instance, bound_args.arguments)

    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002
        instance: Any = None,  # noqa: ARG002
        result: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """A span ends."""
        _spans.leave(id_, result)

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,  # noqa: ARG002
        instance: Any = None,  # noqa: ARG002
        err: BaseException | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """A span ends by an error."""
        _spans.drop(id_, err)


class _EventHandler(BaseEventHandler):
    """Passes on that texts have got their embeddings."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name LlamaIndex knows it by."""
        return "RagPipelineEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:  # noqa: ARG002 - the signature is LlamaIndex's
        """An event has happened."""
        if isinstance(event, EmbeddingEndEvent) and event.span_id is not None:
            _spans.embedded(event.span_id, len(event.chunks))
