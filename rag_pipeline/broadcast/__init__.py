"""Broadcasts numbered events to subscribers: encodes each event once, and replays missed ones."""

from rag_pipeline.broadcast.encoding import Form, Packet, PacketBatch
from rag_pipeline.broadcast.hub import Hub, HubCall, HubItem, NewJournal
from rag_pipeline.broadcast.subscriber import Outlet, Subscriber

__all__ = ["Form", "Hub", "HubCall", "HubItem", "NewJournal", "Outlet", "Packet", "PacketBatch", "Subscriber"]
