"""A scripted stub pipeline: a realistic hour of work, played in minutes."""

from rag_pipeline.cli.demo.player import DemoPipeline
from rag_pipeline.cli.demo.script import hour

__all__ = ["DemoPipeline", "hour"]
