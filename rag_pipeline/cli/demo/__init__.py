"""A scripted stub pipeline: a believable hour of work, played in minutes, in place of a real one."""

from rag_pipeline.cli.demo.player import DemoPipeline
from rag_pipeline.cli.demo.script import hour

__all__ = ["DemoPipeline", "hour"]
