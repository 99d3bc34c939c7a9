"""PipelineStatus: the state of a pipeline, and one numbered event for each change of it."""

from rag_pipeline.status.pipeline import PipelineStatus, pipeline_status
from rag_pipeline.status.processing import Processing
from rag_pipeline.status.publisher import Directed, FlushRequest, Published, Sink
from rag_pipeline.status.registry import registry
from rag_pipeline.status.saved import SavedState

__all__ = [
    "Directed", "FlushRequest", "PipelineStatus", "Processing", "Published", "SavedState", "Sink", "pipeline_status",
    "registry",
]  # fmt: skip
