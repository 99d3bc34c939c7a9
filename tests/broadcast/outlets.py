"""Outlets that decode and record what they are sent, or fail."""

from __future__ import annotations

from rag_pipeline.broadcast import PacketBatch
from tests.broadcast.decoding import Received, event_of, event_of_packet, texts_of


class RecordingOutlet:
    """Records events as a client decodes them from the wire; raises after ``works`` sends."""

    transport = "websocket"

    def __init__(self, works: int | None = None) -> None:
        self.received: list[Received] = []
        self.reasons: list[str] = []
        self.backlog_bytes = 0
        self._works = works

    def send(self, batch: PacketBatch) -> None:
        if self._works is not None:
            if self._works == 0:
                raise ConnectionResetError("gone")
            self._works -= 1
        assert not self.reasons, "sent to after its end"
        events = [event_of(text) for text in texts_of(batch.wire)]
        assert events == [event_of_packet(packet.text) for packet in batch.packets]
        self.received += events

    def send_paced(self, batch: PacketBatch) -> None:
        self.send(batch)

    def disconnect(self, reason: str) -> None:
        self.reasons.append(reason)
        if self._works is not None:
            raise ConnectionResetError("gone for good")
