"""What the service remembers, for the HTTP server: events after an offset, files, a live view that goes on from one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rag_pipeline.broadcast import Form, Hub, Subscriber
from rag_pipeline.broadcast.encoding import with_offset
from rag_pipeline.broadcast.follower import Follower, FollowerEndedError
from rag_pipeline.http_server.service_view import EventPage, FollowerClosedError, Item
from rag_pipeline.journal import Entry, FileQuery, FileRow, offset_of
from rag_pipeline.journal.backend import Keeper
from rag_pipeline.journal.reading import read_within
from rag_pipeline.journal.search_gate import SearchGate

if TYPE_CHECKING:
    from rag_pipeline.journal.redis.backend import RedisKeeper


MAX_READ = 1001
MAX_PAGE_BYTES = 4 << 20


class Recall:
    """Asks the keeper, and follows the hub; called by any thread."""

    def __init__(self, keeper: Keeper | RedisKeeper, hub: Hub, backlog_limit_bytes: int) -> None:
        self._keeper = keeper
        self._hub = hub
        self._limit = backlog_limit_bytes
        self._searches = SearchGate()

    def events(self, since: str | None, namespace: str, limit: int) -> EventPage:
        """Return events after the offset, or the oldest that are kept."""
        newest = self._keeper.tail.newest
        position = None if since is None else self.position_of(since)
        after = position if position is not None and self._keeper.reaches(position) else None
        shown, end, more = self._page(after or 0, limit, namespace)
        if not more:
            end = max(newest, end)
        # Asked again: what was removed while it was read is noticed.
        recovered = since is None or (after is not None and self._keeper.reaches(after))
        return EventPage([self._item(entry) for entry in shown], self.offset_of(end), recovered=recovered, more=more)

    def _page(self, after: int, limit: int, namespace: str) -> tuple[list[Entry], int, bool]:
        """Return events but superseded statuses, where the page ends, and whether more follow."""
        shown: list[Entry] = []
        size = 0
        while True:
            entries, is_all = read_within(self._keeper.read, after, MAX_READ, MAX_PAGE_BYTES, namespace)
            for entry in entries:
                if self._keeper.tail.is_superseded(entry, namespace) or not (text := entry.try_text()):
                    after = entry.position
                    continue
                if shown and (len(shown) >= limit or size + len(text) > MAX_PAGE_BYTES):
                    return shown, after, True
                after = entry.position
                shown.append(entry)
                size += len(text)
            if is_all:
                return shown, after, False

    def has_all_files(self) -> bool:
        """Return whether the journal knows every file that there was."""
        return self._keeper.has_all_files()

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first; raises JournalBusyError if too many ask."""
        with self._searches.enter():
            return self._keeper.files(query)

    def follow(self, namespace: str, since: str | None) -> EventFollower:
        """Begin to follow a namespace, as one more client of the hub."""
        return EventFollower(self._hub, namespace, since, self._limit)

    def position_of(self, offset: str) -> int | None:
        """Return the position that an offset of this journal stands for; None for any other string."""
        return self._keeper.tail.lineage.position_of(offset)

    def offset_of(self, position: int) -> str:
        """Return the string that clients know a position by."""
        return offset_of(self._keeper.tail.identity, position)

    def _item(self, entry: Entry) -> Item:
        offset = self.offset_of(entry.position)
        return Item(offset, entry.event.name, with_offset(entry.text, offset))


class EventFollower:
    """A live view of a namespace for the HTTP server: a subscriber, read by the thread that serves it."""

    def __init__(self, hub: Hub, namespace: str, since: str | None, limit_bytes: int) -> None:
        sid = secrets.token_hex(8)
        self._follower = Follower(
            f"event stream {sid}",
            limit_bytes,
            leave=lambda: hub.call(lambda: hub.leave(sid, namespace)),
            dropped=hub.count_dropped,
        )
        subscriber = Subscriber(sid, sid, namespace, self._follower, form=Form.BARE, offset=since)
        hub.call(lambda: hub.join(subscriber))

    def next(self, timeout_seconds: float) -> list[Item]:
        """Return what is there, waiting at most so long for the first of it."""
        try:
            return [Item(packet.offset, packet.name, packet.text) for packet in self._follower.next(timeout_seconds)]
        except FollowerEndedError as error:
            raise FollowerClosedError(str(error)) from None

    def close(self) -> None:
        """Let go of it; idempotent."""
        self._follower.close()
