"""From numbered events to subscribers: encoding, hub, replay."""

from rag_pipeline.broadcast.encoding import Batch, Form, Packet
from rag_pipeline.broadcast.hub import Call, Hub, Item, NewJournal
from rag_pipeline.broadcast.subscriber import Outlet, Subscriber

__all__ = ["Batch", "Call", "Form", "Hub", "Item", "NewJournal", "Outlet", "Packet", "Subscriber"]
