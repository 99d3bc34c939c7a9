"""Compares what pipelines emitted with what real clients received."""

from tests.verify.compare import Emitted, Received, differences
from tests.verify.recorder import Recorder
from tests.verify.watcher import Watcher

__all__ = ["Emitted", "Received", "Recorder", "Watcher", "differences"]
