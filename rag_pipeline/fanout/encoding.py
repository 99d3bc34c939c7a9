"""An event's bytes: encoded once, the same for every subscriber of a channel.

Formats: Socket.IO protocol 5 (packet ``2`` EVENT) inside Engine.IO protocol 4 (packet ``4`` message) inside a WebSocket
text frame (RFC 6455, section 5.2; a server's frames are not masked).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rag_pipeline import events


class Form(Enum):
    """What subscribers of a namespace are sent."""

    PLAIN = "plain"
    """Socket.IO events with one argument, the payload."""
    RESUMABLE = "resumable"
    """The same with the offset as last argument, as Socket.IO's own connection state recovery wants it."""
    BARE = "bare"
    """Payloads alone, for those who bring a format of their own."""


class Channel(NamedTuple):
    """A namespace in one form: its subscribers all get the same bytes."""

    namespace: str
    form: Form = Form.PLAIN


CHANNELS = {namespace: tuple(Channel(namespace, form) for form in Form) for namespace in events.NAMESPACES}


class Packet(NamedTuple):
    """One event for one channel: as text, and as the bytes of its WebSocket frame (empty in bare form)."""

    text: str
    frame: bytes
    name: str
    offset: str


class Batch(NamedTuple):
    """Packets of one channel that go out together, in order; ``wire`` is their frames joined."""

    packets: tuple[Packet, ...]
    wire: bytes


def with_offset(payload: str, offset: str, more: str = "") -> str:
    """Return the payload's JSON with its offset, and with ``more`` members, which end with a comma."""
    return f'{{"offset":"{offset}",{more}{payload[1:]}'


def packet_for(channel: Channel, name: str, payload: str, offset: str) -> Packet:
    """Return the packet of an event whose payload has its offset in it."""
    if channel.form is Form.BARE:
        return Packet(payload, b"", name, offset)
    last = f',"{offset}"' if channel.form is Form.RESUMABLE else ""
    text = f'2{channel.namespace},["{name}",{payload}{last}]'
    return Packet(text, text_frame(b"4" + text.encode()), name, offset)


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
