"""What a client may send: Socket.IO packets, checked as Socket.IO's own parser does.

CONNECT and DISCONNECT are all that this server acts on. Other packets that are whole are ignored; a client that sends
what is no packet speaks another protocol, or another parser's, and would wait for answers that never come.
"""

from __future__ import annotations

import json
import re
from typing import Any

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

MAX_ATTACHMENTS = 100
_HEAD = re.compile(r"(?:([0-9]{1,9})-)?(?:(/[^,]*)(?:,|$))?([0-9]{1,16})?", re.ASCII)


class PacketError(ValueError):
    """A message that is no Socket.IO packet, or not one that may come here."""


class Inbound:
    """The messages of one client, in order; the first has to be a CONNECT."""

    __slots__ = ("_attachments", "_connected")

    def __init__(self) -> None:
        self._connected = False
        self._attachments = 0  # binary messages that belong to the packet before

    def take(self, message: object) -> int | None:
        """Return the type of the packet that begins with the message, None for an attachment.

        Raises :class:`PacketError`.
        """
        if self._attachments and isinstance(message, bytes):
            self._attachments -= 1
            return None
        if self._attachments or not isinstance(message, str):
            raise PacketError("text and attachments are mixed up, or it is another parser's")
        kind, attachments, payload = _parse(message)
        if kind == CONNECT:
            self._connected = True
        elif not self._connected:
            raise PacketError("the first packet is no CONNECT")
        if not _is_valid(kind, payload):
            raise PacketError("a payload that does not fit the packet")
        self._attachments = attachments
        return kind


_NOTHING = object()


def _parse(text: str) -> tuple[int, int, Any]:
    """Return type, number of attachments and payload."""
    if text[:1] not in tuple("0123456"):
        raise PacketError("an unknown type")
    kind = int(text[0])
    head = _HEAD.match(text, 1)
    assert head is not None  # all of it is optional
    binary = kind in (BINARY_EVENT, BINARY_ACK)
    attachments = int(head[1] or 0)
    if binary != bool(head[1]) or attachments > MAX_ATTACHMENTS:
        raise PacketError("a wrong number of attachments")
    rest = text[head.end() :]
    if not rest:
        return kind, attachments, _NOTHING
    try:
        return kind, attachments, json.loads(rest)
    except (ValueError, RecursionError) as error:
        raise PacketError("a payload that is no JSON") from error


def _is_valid(kind: int, payload: Any) -> bool:
    if kind == CONNECT:
        return True  # an auth that is no object has no token: it is refused with a reason
    if kind == DISCONNECT:
        return payload is _NOTHING
    if kind in (EVENT, BINARY_EVENT):
        return isinstance(payload, list) and bool(payload) and isinstance(payload[0], (str, int))
    return kind != CONNECT_ERROR and isinstance(payload, list)
