"""Reads the Socket.IO packets that clients send, with the checks of Socket.IO's own parser.

This server acts on CONNECT and DISCONNECT only, and ignores other valid packets. A client that sends an invalid packet
uses another protocol or another parser, and would wait for answers that never come.
"""

from __future__ import annotations

import json
import re
from typing import Any

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

MAX_ATTACHMENTS = 100
_HEAD = re.compile(r"(?:([0-9]{1,9})-)?(?:(/[^,]*)(?:,|$))?([0-9]{1,16})?", re.ASCII)


class PacketError(ValueError):
    """An invalid Socket.IO packet, or one that a client must not send here."""


class PacketReader:
    """Reads the messages of one client in order; the first has to be a CONNECT."""

    __slots__ = ("_attachments", "_connected")

    def __init__(self) -> None:
        self._connected = False
        self._attachments = 0  # binary messages that the last packet announced and that have not come yet

    def read(self, message: object) -> int | None:
        """Return the type of the packet that the message begins, None for an attachment; raises PacketError."""
        if self._attachments and isinstance(message, bytes):
            self._attachments -= 1
            return None
        if self._attachments or not isinstance(message, str):
            raise PacketError("text and attachments are mixed up, or another parser wrote this")
        kind, attachments, payload = _parse(message)
        if kind == CONNECT:
            self._connected = True
        elif not self._connected:
            raise PacketError("the first packet is not a CONNECT")
        if not _is_valid(kind, payload):
            raise PacketError("the payload does not fit the packet's type")
        self._attachments = attachments
        return kind


_NO_PAYLOAD = object()


def _parse(text: str) -> tuple[int, int, Any]:
    """Return type, number of attachments and payload."""
    if text[:1] not in tuple("0123456"):
        raise PacketError("the packet's type is unknown")
    kind = int(text[0])
    head = _HEAD.match(text, 1)
    assert head is not None  # every part of the pattern is optional
    binary = kind in (BINARY_EVENT, BINARY_ACK)
    attachments = int(head[1] or 0)
    if binary != bool(head[1]) or attachments > MAX_ATTACHMENTS:
        raise PacketError("the number of attachments is wrong")
    rest = text[head.end() :]
    if not rest:
        return kind, attachments, _NO_PAYLOAD
    try:
        return kind, attachments, json.loads(rest)
    except (ValueError, RecursionError) as error:
        raise PacketError("the payload is not JSON") from error


def _is_valid(kind: int, payload: Any) -> bool:
    if kind == CONNECT:
        return True  # an auth that is not an object has no token: it is refused with a reason
    if kind == DISCONNECT:
        return payload is _NO_PAYLOAD
    if kind in (EVENT, BINARY_EVENT):
        return isinstance(payload, list) and bool(payload) and isinstance(payload[0], (str, int))
    return kind != CONNECT_ERROR and isinstance(payload, list)
