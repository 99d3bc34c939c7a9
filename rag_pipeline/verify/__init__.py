"""The proof that clients receive what was emitted: an independent record, real clients, and the comparison."""

from rag_pipeline.verify.compare import Emitted, Received, differences
from rag_pipeline.verify.recorder import Recorder
from rag_pipeline.verify.watcher import Watcher

__all__ = ["Emitted", "Received", "Recorder", "Watcher", "differences"]
