"""An event's bytes: encoded once, the same for every subscriber of a channel.

Formats: Socket.IO protocol 5 (packet ``2`` EVENT) inside Engine.IO protocol 4 (packet ``4`` message) inside a WebSocket
text frame (RFC 6455, section 5.2; a server's frames are not masked).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rag_pipeline.contract import events


class Form(Enum):
    """What subscribers of a namespace are sent."""

    PLAIN = "plain"
    """Socket.IO events with one argument, the payload."""
    RESUMABLE = "resumable"
    """The same with the offset as last argument, as Socket.IO's own connection state recovery wants it."""
    BARE = "bare"
    """Payloads alone, for those who bring a format of their own."""


class Channel:
    """A namespace under one of its names, in one form: its subscribers all get the same bytes.

    ``namespace`` says whose events they are. There is one object for each, see :func:`channel_of`: the hub looks
    channels up for every event, and to compare them by identity is cheaper than by their fields.
    """

    __slots__ = ("form", "name", "namespace", "prefix")

    def __init__(self, name: str, form: Form = Form.PLAIN) -> None:
        self.name = name
        self.form = form
        self.namespace = events.resolve_namespace(name)
        # Socket.IO's packets of the root namespace do not name it.
        self.prefix = "" if name == events.NS_ROOT else f"{name},"


_CHANNELS = {(name, form): Channel(name, form) for name in events.NAMESPACE_NAMES for form in Form}
CHANNELS = {
    namespace: tuple(channel for channel in _CHANNELS.values() if channel.namespace == namespace)
    for namespace in events.NAMESPACES
}
"""The channels that a namespace's events go to: those of each of its names."""


def channel_of(name: str, form: Form = Form.PLAIN) -> Channel:
    """Return the channel of what a client calls the namespace."""
    return _CHANNELS[name, form]


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
    text = f'2{channel.prefix}["{name}",{payload}{last}]'
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
