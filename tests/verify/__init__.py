"""The proof that clients receive what was emitted: an independent record, real clients, and the comparison."""

from tests.verify.compare import Emitted, Received, differences
from tests.verify.recorder import Recorder
from tests.verify.watcher import Watcher

__all__ = ["Emitted", "Received", "Recorder", "Watcher", "differences"]
