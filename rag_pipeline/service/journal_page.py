"""Reads one page of ``/events`` from the journal."""

from __future__ import annotations

from rag_pipeline.broadcast.encoding import Form, Packet, channel_of, packet_for, with_offset
from rag_pipeline.http_server.service_view import JournalPage
from rag_pipeline.journal import Entry, offset_of
from rag_pipeline.journal.backend import JournalBackend
from rag_pipeline.journal.bounded_read import read_bounded

READ_EVENTS = 1001
MAX_PAGE_BYTES = 4 << 20


def read_page(backend: JournalBackend, since: str | None, namespace: str, limit: int) -> JournalPage:
    """Return at most ``limit`` events, and at most 4 MiB, after the offset; see :meth:`ServiceView.events`."""
    newest = backend.tail.newest
    position = None if since is None else backend.tail.generations.position_of(since)
    after = position if position is not None and backend.reaches(position) else None
    entries, end, more = _read(backend, after or 0, namespace, limit)
    if not more:
        end = max(newest, end)
    # Asked again after the read: the journal may have dropped old events meanwhile.
    recovered = since is None or (after is not None and backend.reaches(after))
    identity = backend.tail.identity
    packets = [_packet(entry, offset_of(identity, entry.position), namespace) for entry in entries]
    return JournalPage(packets, offset_of(identity, end), recovered=recovered, more=more)


def _read(backend: JournalBackend, after: int, namespace: str, limit: int) -> tuple[list[Entry], int, bool]:
    """Return the events without superseded statuses, the position where the page ends, and whether more follow."""
    page: list[Entry] = []
    size = 0
    while True:
        entries, is_all = read_bounded(backend.read, after, READ_EVENTS, MAX_PAGE_BYTES, namespace)
        for entry in entries:
            if not backend.tail.is_superseded(entry, namespace) and (text := entry.try_text()):
                if page and (len(page) >= limit or size + len(text) > MAX_PAGE_BYTES):
                    return page, after, True
                page.append(entry)
                size += len(text)
            after = entry.position
        if is_all:
            return page, after, False


def _packet(entry: Entry, offset: str, namespace: str) -> Packet:
    return packet_for(channel_of(namespace, Form.BARE), entry.event.name, with_offset(entry.text, offset), offset)
