"""Decodes the wire with the libraries that clients use: wsproto for frames, Engine.IO and Socket.IO for packets."""

from __future__ import annotations

from typing import Any

import engineio.packet
import socketio.packet
from wsproto.frame_protocol import FrameProtocol, Opcode

Received = tuple[str, str, dict[str, Any]]
"""Namespace, event, body."""


def texts_of(wire: bytes) -> list[str]:
    """Return the messages in a WebSocket client's bytes; nothing may be left over."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(wire)
    messages, part = [], ""
    for frame in protocol.received_frames():
        assert frame.opcode is Opcode.TEXT
        assert isinstance(frame.payload, str)
        part += frame.payload
        if frame.message_finished:
            messages.append(part)
            part = ""
    assert part == ""
    return messages


def event_of(text: str) -> Received:
    """Return the event in an Engine.IO message packet."""
    outer = engineio.packet.Packet(encoded_packet=text)
    assert outer.packet_type == engineio.packet.MESSAGE
    return event_of_packet(outer.data if isinstance(outer.data, str) else text[1:])


def event_of_packet(text: str) -> Received:
    """Return the event in a Socket.IO packet."""
    packet = socketio.packet.Packet(encoded_packet=text)
    assert packet.packet_type == socketio.packet.EVENT
    name, body = packet.data
    return packet.namespace or "/", name, body
