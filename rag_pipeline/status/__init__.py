"""PipelineStatus: the state of a pipeline, and one numbered event for each change of it."""

from rag_pipeline.status.pipeline import PipelineStatus, pipeline_status
from rag_pipeline.status.processing import Processing
from rag_pipeline.status.publisher import FlushRequest, Sink
from rag_pipeline.status.registry import registry

__all__ = ["FlushRequest", "PipelineStatus", "Processing", "Sink", "pipeline_status", "registry"]
