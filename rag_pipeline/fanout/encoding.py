"""An event's bytes: encoded once, the same for every subscriber of a namespace.

Formats: Socket.IO protocol 5 (packet ``2`` EVENT) inside Engine.IO protocol 4 (packet ``4`` message) inside a WebSocket
text frame (RFC 6455, section 5.2; a server's frames are not masked).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from rag_pipeline.events import Event

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Packet(NamedTuple):
    """One Socket.IO packet as text, and as the bytes of its WebSocket frame."""

    text: str
    frame: bytes


class Batch(NamedTuple):
    """Packets of one namespace that go out together, in order; ``wire`` is their frames joined."""

    packets: tuple[Packet, ...]
    wire: bytes


def encode(event: Event, namespaces: Iterable[str] | None = None) -> dict[str, Packet]:
    """Return the event's packet for each of its namespaces, or for those given; the body is turned into JSON once."""
    body = _encoder.encode(event.payload())
    packets = {}
    for namespace in event.namespaces if namespaces is None else namespaces:
        text = f'2{namespace},["{event.name}",{body}]'
        packets[namespace] = Packet(text, text_frame(b"4" + text.encode()))
    return packets


def batch(packets: list[Packet]) -> Batch:
    """Return the packets as one buffer."""
    wire = packets[0].frame if len(packets) == 1 else b"".join([p.frame for p in packets])
    return Batch(tuple(packets), wire)


def text_frame(payload: bytes) -> bytes:
    """Return one unmasked, unfragmented WebSocket text frame."""
    return frame(0x1, payload)


def frame(opcode: int, payload: bytes) -> bytes:
    """Return one unmasked, unfragmented WebSocket frame."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload
