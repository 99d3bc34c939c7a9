"""From numbered events to subscribers: hand-over, encoding, hub."""

from rag_pipeline.fanout.encoding import Batch, Packet
from rag_pipeline.fanout.handover import Handover
from rag_pipeline.fanout.hub import Hub, Item
from rag_pipeline.fanout.subscriber import Outlet, Subscriber

__all__ = ["Batch", "Handover", "Hub", "Item", "Outlet", "Packet", "Subscriber"]
