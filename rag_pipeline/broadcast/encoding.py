"""Encodes each event once: every subscriber of a channel is sent the same bytes.

Formats: Socket.IO protocol 5 (packet ``2`` EVENT) inside Engine.IO protocol 4 (packet ``4`` message) inside a WebSocket
text frame (RFC 6455, section 5.2; a server's frames are not masked).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rag_pipeline.contract import events


class Form(Enum):
    """The form in which subscribers get events."""

    PLAIN = "plain"
    """Socket.IO events with the payload as the only argument."""
    RESUMABLE = "resumable"
    """Also with the offset as last argument, which Socket.IO's connection state recovery needs."""
    BARE = "bare"
    """Payloads only, for outlets with a format of their own."""


class BroadcastChannel:
    """A namespace under one of its names, in one form: all its subscribers get the same bytes.

    ``name`` may be an alias of ``namespace``. There is one object for each name and form, see :func:`channel_of`: the
    hub looks channels up for every event, and comparing by identity is cheaper than comparing fields.
    """

    __slots__ = ("form", "name", "namespace", "prefix")

    def __init__(self, name: str, form: Form = Form.PLAIN) -> None:
        self.name = name
        self.form = form
        self.namespace = events.resolve_namespace(name)
        # Socket.IO packets of the root namespace carry no namespace.
        self.prefix = "" if name == events.NS_ROOT else f"{name},"


_CHANNELS = {(name, form): BroadcastChannel(name, form) for name in events.NAMESPACE_NAMES for form in Form}
CHANNELS = {
    namespace: tuple(channel for channel in _CHANNELS.values() if channel.namespace == namespace)
    for namespace in events.NAMESPACES
}
"""The channels that a namespace's events are sent to: every name and form of it."""


def channel_of(name: str, form: Form = Form.PLAIN) -> BroadcastChannel:
    """Return the channel of the namespace that a client knows by this name."""
    return _CHANNELS[name, form]


class Packet(NamedTuple):
    """One event for one channel, as text and as a WebSocket frame; bare form has no frame."""

    text: str
    frame: bytes
    name: str
    offset: str


class PacketBatch(NamedTuple):
    """Packets of one channel that are sent together, in order; ``wire`` is their frames joined."""

    packets: tuple[Packet, ...]
    wire: bytes


def with_offset(payload: str, offset: str, extra: str = "") -> str:
    """Return the payload's JSON with its offset and ``extra`` members, each of which ends with a comma."""
    return f'{{"offset":"{offset}",{extra}{payload[1:]}'


def packet_for(channel: BroadcastChannel, name: str, payload: str, offset: str) -> Packet:
    """Return the packet of an event; the payload contains its offset already."""
    if channel.form is Form.BARE:
        return Packet(payload, b"", name, offset)
    last = f',"{offset}"' if channel.form is Form.RESUMABLE else ""
    text = f'2{channel.prefix}["{name}",{payload}{last}]'
    return Packet(text, text_frame(b"4" + text.encode()), name, offset)


def batch(packets: list[Packet]) -> PacketBatch:
    """Join packets to one batch."""
    wire = packets[0].frame if len(packets) == 1 else b"".join([p.frame for p in packets])
    return PacketBatch(tuple(packets), wire)


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
