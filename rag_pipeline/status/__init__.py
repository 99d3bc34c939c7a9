"""PipelineStatus: the state of a pipeline, and one numbered event for each change of it."""

from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.pipeline import PipelineStatus, core_of, pipeline_status
from rag_pipeline.status.processing import Processing
from rag_pipeline.status.registry import registry
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import FlushRequest, Published, Sink, SnapshotFor

__all__ = [
    "FlushRequest", "PipelineStatus", "Processing", "Published", "SavedState", "Sink", "SnapshotFor", "StatusCore",
    "core_of", "pipeline_status", "registry",
]  # fmt: skip
